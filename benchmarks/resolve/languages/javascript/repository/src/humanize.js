"use strict";

const { UNITS } = require("./units");

/** A duration in its largest unit, rounded, such as "2 hours". */
function humanize(ms) {
  const length = Math.abs(ms);
  const unit = UNITS.find(({ size }) => length >= size) ?? UNITS[UNITS.length - 1];
  const count = Math.round(length / unit.size);
  return `${count} ${unit.name}${count === 1 ? "" : "s"}`;
}

module.exports = { humanize };
