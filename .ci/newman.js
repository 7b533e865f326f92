// Turns a JSON report of newman into the events of `go test -json`, for results.awk. An assertion is
// a test; a request that got no answer, or whose script failed, is a failed one. A collection in which
// no assertion ran has failed.
//
//   node newman.js PACKAGE REPORT
const fs = require('fs');

const [, , pkg, file] = process.argv;
const report = JSON.parse(fs.readFileSync(file, 'utf8'));

const say = (action, test, output) => {
  const event = { Action: action, Package: pkg };
  if (test) event.Test = test.replace(/["\\]/g, "'");
  if (output !== undefined) event.Output = output + '\n';
  console.log(JSON.stringify(event));
};

const folders = {};
const walk = (items, path) => items.forEach((i) => (i.item ? walk(i.item, [...path, i.name]) : (folders[i.id] = path)));
walk(report.collection.item, []);

let ran = 0;
let failed = 0;
const settle = (test, error) => {
  if (error) {
    failed++;
    say('output', test, '    ' + (error.message || String(error)));
  }
  say(error ? 'fail' : 'pass', test);
};

for (const e of report.run.executions) {
  const request = [...(folders[e.item.id] || []), e.item.name].join('/');
  if (e.requestError) settle(request + '/the request is answered', e.requestError);
  for (const s of [...(e.prerequestScript || []), ...(e.testScript || [])]) {
    if (s.error) settle(request + '/the script runs', s.error);
  }
  for (const a of e.assertions || []) {
    ran++;
    settle(request + '/' + a.assertion, a.skipped ? new Error('the assertion was skipped') : a.error);
  }
}
for (const f of report.run.failures || []) {
  // What belongs to no request, such as a run that took too long.
  if (!f.source) settle('the run/' + (f.at || 'ends'), f.error);
}
if (ran === 0) settle('the collection/some assertion ran', new Error('no assertion ran'));
say(failed ? 'fail' : 'pass');
