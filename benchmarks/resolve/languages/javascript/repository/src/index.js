"use strict";

const { format } = require("./format");
const { humanize } = require("./humanize");
const { parse } = require("./parse");

module.exports = { format, humanize, parse };
