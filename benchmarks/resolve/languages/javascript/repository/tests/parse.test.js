"use strict";

const assert = require("node:assert");
const test = require("node:test");

const { humanize, parse } = require("../src");

test("adds the parts", () => {
  assert.strictEqual(parse("1h 30m"), 5400000);
  assert.strictEqual(parse("1.5h"), 5400000);
  assert.strictEqual(parse(" 2d3s "), 172803000);
});

test("tells milliseconds from minutes", () => {
  assert.strictEqual(parse("5ms"), 5);
  assert.strictEqual(parse("5m"), 300000);
});

test("reads a sign", () => {
  assert.strictEqual(parse("-10s"), -10000);
});

test("refuses other text", () => {
  assert.throws(() => parse(""), SyntaxError);
  assert.throws(() => parse("10 parsecs"), SyntaxError);
});

test("rounds to the largest unit", () => {
  assert.strictEqual(humanize(3600000), "1 hour");
  assert.strictEqual(humanize(5400000), "2 hours");
  assert.strictEqual(humanize(0), "0 milliseconds");
});
