// check_histograms.js RESULT HGRM HLOG - decodes yodel's files with hdr-histogram-js and
// compares each histogram of the result, the percentile lines, and the sums of the intervals.
'use strict';
const assert = require('assert');
const fs = require('fs');
const hdr = require('hdr-histogram-js');

const [resultPath, hgrmPath, hlogPath] = process.argv.slice(2);
const result = JSON.parse(fs.readFileSync(resultPath, 'utf8'));
const near = (a, b) => assert.ok(Math.abs(a - b) <= Math.abs(b) * 1e-9 + 1e-6, `${a} ${b}`);
let compared = 0;

for (const [name, latency] of Object.entries(result.latency)) {
  const histogram = hdr.decodeFromCompressedBase64(latency.hdr);
  assert.strictEqual(histogram.totalCount, latency.count, name);
  if (latency.count === 0) continue;
  near(latency.mean_ns, histogram.mean);
  near(latency.stddev_ns, histogram.stdDeviation);
  for (const [key, p] of [['p50', 50], ['p90', 90], ['p99', 99], ['p999', 99.9]]) {
    // yodel never reports more than the exact maximum.
    const theirs = Math.min(histogram.getValueAtPercentile(p), latency.max_ns);
    assert.strictEqual(latency[key + '_ns'], theirs, `${name} ${key}`);
    compared++;
  }
}

const response = hdr.decodeFromCompressedBase64(result.latency.response.hdr);
const lines = fs.readFileSync(hgrmPath, 'utf8').split('\n');
assert.deepStrictEqual(lines[0].trim().split(/\s+/),
  ['Value', 'Percentile', 'TotalCount', '1/(1-Percentile)']);
for (const line of lines.slice(2)) {
  if (line === '' || line.startsWith('#')) continue;
  const [value, percentile, total] = line.trim().split(/\s+/).map(Number);
  assert.ok(total <= response.totalCount && percentile <= 1);
  const theirs = response.getValueAtPercentile(percentile * 100) / 1e6;
  assert.ok(Math.abs(value - theirs) <= 0.0006 + theirs * 2e-3, line);
  compared++;
}

const reader = new hdr.HistogramLogReader(fs.readFileSync(hlogPath, 'utf8'));
const sums = {};
let interval;
while ((interval = reader.nextIntervalHistogram()) !== null) {
  const tag = interval.tag === 'NO TAG' ? 'response' : interval.tag;
  sums[tag] = (sums[tag] || 0) + interval.totalCount;
  compared++;
}
for (const tag of ['response', 'service', 'send_lag'])
  assert.strictEqual(sums[tag], result.latency[tag].count, tag);
console.log(`${compared} compared`);
