// check_result.js RESULT... - each is what client/result.schema.json says, and adds up.
//
// Prints nothing; says on stderr what is wrong, and ends with 1.
'use strict';
const fs = require('fs');
const path = require('path');
const accepts = require('./check_schema');

const schema = path.join(__dirname, '../../client/result.schema.json');
const results = process.argv.slice(2);
let good = accepts(schema, results);

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
