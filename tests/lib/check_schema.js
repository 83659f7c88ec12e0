// check_schema.js SCHEMA FILE... - ajv finds no fault in the schema itself (nor a keyword that
// no draft has), and each file is what it says. Comments on lines of their own are taken away.
//
// Prints nothing; says on stderr what is wrong, and ends with 1. With ajv 6 or 8, of Debian
// (node-ajv) or of npm.
'use strict';
const fs = require('fs');
// Debian's place, and npm's for all users: not every node looks there.
process.env.NODE_PATH = [process.env.NODE_PATH, '/usr/share/nodejs', '/usr/local/lib/node_modules'].join(':');
require('module').Module._initPaths();
const ajv = require('ajv');

const validator = ajv.default
  ? new ajv.default({ allErrors: true, strict: true, strictTypes: false })
  : new ajv({ allErrors: true, strictKeywords: true, extendRefs: 'fail' });

function compile(path) {
  try {
    return validator.compile(JSON.parse(fs.readFileSync(path, 'utf8')));
  } catch (error) {
    console.error(`${path}: bad schema: ${error.message}`);
    process.exit(1);
  }
}

// Says what is wrong with the files; returns whether nothing is.
function accepts(schemaPath, paths) {
  const matches = compile(schemaPath);
  let good = true;
  for (const path of paths) {
    const text = fs.readFileSync(path, 'utf8').replace(/^\s*(\/\/|#).*$/gm, '');
    if (matches(JSON.parse(text))) continue;
    good = false;
    for (const fault of matches.errors)
      console.error(`${path}: not valid: ${fault.instancePath ?? fault.dataPath} ${fault.message}`);
  }
  return good;
}

module.exports = accepts;
if (require.main === module) {
  const [schemaPath, ...paths] = process.argv.slice(2);
  process.exitCode = accepts(schemaPath, paths) ? 0 : 1;
}
