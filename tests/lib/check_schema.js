// check_schema.js SCHEMA FILE... - checks with ajv that the schema is valid (without unknown
// keywords) and that each file matches it. Lines that are comments are removed first. Prints
// the errors on stderr and exits 1. Works with ajv 6 and 8, from Debian (node-ajv) or npm.
'use strict';
const fs = require('fs');
// Debian's folder and npm's global folder are not in every node's search path.
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
    console.error(`${path}: invalid schema: ${error.message}`);
    process.exit(1);
  }
}

// Prints the errors of the files; returns true if there are none.
function isValid(schemaPath, paths) {
  const matches = compile(schemaPath);
  let good = true;
  for (const path of paths) {
    const text = fs.readFileSync(path, 'utf8').replace(/^\s*(\/\/|#).*$/gm, '');
    if (matches(JSON.parse(text))) continue;
    good = false;
    for (const error of matches.errors)
      console.error(`${path}: invalid: ${error.instancePath ?? error.dataPath} ${error.message}`);
  }
  return good;
}

module.exports = isValid;
if (require.main === module) {
  const [schemaPath, ...paths] = process.argv.slice(2);
  process.exitCode = isValid(schemaPath, paths) ? 0 : 1;
}
