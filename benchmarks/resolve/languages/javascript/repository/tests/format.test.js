"use strict";

const assert = require("node:assert");
const test = require("node:test");

const { format, parse } = require("../src");

test("names the units that there are", () => {
  assert.strictEqual(format(5400000), "1h 30m");
  assert.strictEqual(format(3601000), "1h 1s");
  assert.strictEqual(format(1250), "1s 250ms");
});

test("a whole unit is that unit", () => {
  assert.strictEqual(format(3600000), "1h");
  assert.strictEqual(format(60000), "1m");
  assert.strictEqual(format(86400000), "1d");
  assert.strictEqual(format(90060000), "1d 1h 1m");
});

test("nothing, little and less than nothing", () => {
  assert.strictEqual(format(0), "0s");
  assert.strictEqual(format(1), "1ms");
  assert.strictEqual(format(-2500), "-2s 500ms");
});

test("refuses what is no number", () => {
  assert.throws(() => format(Number.NaN), TypeError);
});

test("is what parse reads", () => {
  for (const ms of [1, 999, 1000, 61000, 3600000, 86400000, 90061001]) {
    assert.strictEqual(parse(format(ms)), ms);
  }
});
