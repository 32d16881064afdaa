"use strict";

const { UNITS } = require("./units");

/**
 * A duration in its units, the largest first, such as "1h 30m". Units of which there are none are
 * left out.
 */
function format(ms) {
  if (!Number.isFinite(ms)) {
    throw new TypeError(`not a duration: ${ms}`);
  }
  const sign = ms < 0 ? "-" : "";
  let rest = Math.round(Math.abs(ms));
  const parts = [];
  for (const { symbol, size } of UNITS) {
    if (rest > size) {
      const count = Math.floor(rest / size);
      parts.push(`${count}${symbol}`);
      rest -= count * size;
    }
  }
  if (rest > 0) {
    parts.push(`${rest}ms`);
  }
  return parts.length === 0 ? "0s" : sign + parts.join(" ");
}

module.exports = { format };
