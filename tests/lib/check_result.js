// check_result.js RESULT... - checks each result against client/result.schema.json, and that
// its message counts add up. Prints the errors on stderr and exits 1.
'use strict';
const fs = require('fs');
const path = require('path');
const isValid = require('./check_schema');

const schema = path.join(__dirname, '../../client/result.schema.json');
const results = process.argv.slice(2);
let good = isValid(schema, results);

for (const name of good ? results : []) {
  const result = JSON.parse(fs.readFileSync(name, 'utf8'));
  for (const part of [result.messages, result.warmup]) {
    const lost = Object.values(part.lost).reduce((sum, n) => sum + n, 0);
    if (part.sent === part.verified + part.wrong + part.in_flight + lost) continue;
    console.error(`${name}: ${JSON.stringify(part)} does not add up`);
    good = false;
  }
}
process.exitCode = good ? 0 : 1;
