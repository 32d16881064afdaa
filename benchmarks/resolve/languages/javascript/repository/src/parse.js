"use strict";

const { unitOf } = require("./units");

const PART = /^(\d+(?:\.\d+)?)\s*(ms|[dhms])\s*/;

/** Milliseconds of a text such as "1h 30m", "1.5h" or "-10s". */
function parse(text) {
  const trimmed = text.trim();
  const isNegative = trimmed.startsWith("-");
  let rest = isNegative ? trimmed.slice(1).trimStart() : trimmed;
  if (rest === "") {
    throw new SyntaxError("an empty duration");
  }
  let ms = 0;
  while (rest !== "") {
    const found = PART.exec(rest);
    if (found === null) {
      throw new SyntaxError(`not a duration: ${text}`);
    }
    ms += Number(found[1]) * unitOf(found[2]).size;
    rest = rest.slice(found[0].length);
  }
  return isNegative ? -ms : ms;
}

module.exports = { parse };
