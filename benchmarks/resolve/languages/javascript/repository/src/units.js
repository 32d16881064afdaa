"use strict";

/** From the largest to the smallest, in milliseconds. */
const UNITS = [
  { symbol: "d", name: "day", size: 24 * 60 * 60 * 1000 },
  { symbol: "h", name: "hour", size: 60 * 60 * 1000 },
  { symbol: "m", name: "minute", size: 60 * 1000 },
  { symbol: "s", name: "second", size: 1000 },
  { symbol: "ms", name: "millisecond", size: 1 },
];

function unitOf(symbol) {
  return UNITS.find((unit) => unit.symbol === symbol);
}

module.exports = { UNITS, unitOf };
