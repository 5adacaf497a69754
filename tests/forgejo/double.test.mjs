// The double's own tests: each fact that others rely on, once. `node --test tests/forgejo/`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Double } from './double.mjs';

const ended = [];
after(() => ended.forEach((end) => end()));

async function world(options = {}) {
    const double = new Double({ root: '', clock: 'virtual', start: '2026-01-01T00:00:00Z', seed: 7, ...options }), port = await double.listen(0);
    ended.push(() => double.close());
    for (const login of ['acme', 'writer', 'reader', 'fleet', 'lookup']) double.verbs.make_user({ login });
    double.verbs.make_repo({ name: 'acme/rocket', labels: ['bug', 'agent:a', { name: 'fleet/queued', exclusive: true }, { name: 'fleet/done', exclusive: true }],
        collaborators: { writer: 'write', fleet: 'write', lookup: 'admin' } });
    double.verbs.make_token({ login: 'fleet', token: 'fleet', scopes: ['write:issue', 'write:repository', 'read:user'] });
    double.verbs.make_token({ login: 'lookup', token: 'lookup', scopes: ['read:repository'] });
    double.verbs.make_token({ login: 'reader', token: 'reader' });
    const ask = async (method, path, body, { token = 'fleet', type = 'application/json' } = {}) => {
        const headers = { ...(token ? { Authorization: `token ${token}` } : {}), ...(body !== undefined && type ? { 'Content-Type': type } : {}) };
        const text = body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, { method, headers, body: text, redirect: 'manual' });
        const said = await answer.text();
        let json;
        try { json = JSON.parse(said); } catch { /* no JSON */ }
        return { status: answer.status, headers: answer.headers, text: said, json };
    };
    return { double, verbs: double.verbs, ask, port, repo: '/repos/acme/rocket' };
}

// Something that takes deliveries.
async function receiver() {
    const got = [], server = http.createServer((request, response) => {
        let text = '';
        request.on('data', (part) => { text += part; });
        request.on('end', () => { got.push({ headers: request.headers, text, json: text.startsWith('{') ? JSON.parse(text) : null }); response.end('ok'); });
    });
    await new Promise((done) => { server.listen(0, '127.0.0.1', done); });
    ended.push(() => { server.close(); server.closeAllConnections(); });
    return { got, url: `http://127.0.0.1:${server.address().port}/hook` };
}

const kinds = (got) => got.map((d) => `${d.headers['x-forgejo-event-type']} ${d.json.action ?? ''}`.trim());

test('what a POST and a PATCH without a content type are', async () => {
    const { verbs, ask, repo } = await world();
    verbs.open({ as: 'writer', repo: 'acme/rocket', title: 'one' });
    const { id } = verbs.comment({ as: 'fleet', repo: 'acme/rocket', issue: 1, body: 'x' });
    assert.equal((await ask('POST', `${repo}/issues/1/comments`, { body: 'x' }, { type: null })).status, 422);
    assert.equal((await ask('POST', `${repo}/issues/1/comments`, { body: 'x' }, { type: 'text/plain' })).json.message, 'Unsupported Content-Type');
    assert.equal((await ask('PATCH', `${repo}/issues/comments/${id}`, { body: 'x' }, { type: null })).status, 422);
    const patched = await ask('PATCH', `${repo}/issues/1`, { state: 'closed' }, { type: null });
    assert.deepEqual([patched.status, patched.json.state], [201, 'open']);
    assert.equal((await ask('POST', `${repo}/issues/1/comments`, { body: '' })).status, 422);
    assert.equal((await ask('DELETE', `${repo}/issues/1/labels/1`, '', {})).status, 422);
});

test('who may do what, and how a refusal looks', async () => {
    const { verbs, ask, repo } = await world();
    verbs.open({ as: 'reader', repo: 'acme/rocket', title: 'one', labels: ['agent:a'] });
    assert.equal((await ask('GET', '/user', undefined, { token: null })).status, 401);
    assert.equal((await ask('GET', '/user', undefined, { token: 'wrong' })).status, 401);
    assert.match((await ask('GET', '/user', undefined, { token: 'lookup' })).json.message, /required scope\(s\): \[read:user\]/);
    const { id } = verbs.comment({ as: 'writer', repo: 'acme/rocket', issue: 1, body: 'x' });
    for (const [method, path, body] of [['POST', '/issues/1/labels', { labels: [1] }], ['PATCH', `/issues/comments/${id}`, { body: 'y' }]]) {
        const refused = await ask(method, repo + path, body, { token: 'reader' });
        assert.deepEqual([refused.status, refused.text], [403, '']);
    }
    const permission = async (login, token) => { const a = await ask('GET', `${repo}/collaborators/${login}/permission`, undefined, { token }); return a.json.permission ?? a.status; };
    assert.deepEqual(await Promise.all([['acme', 'lookup'], ['writer', 'lookup'], ['reader', 'lookup'], ['nobody', 'lookup'], ['writer', 'fleet'], ['fleet', 'fleet']]
        .map((pair) => permission(...pair))), ['owner', 'write', 'read', 404, 403, 'write']);
    verbs.repository({ repo: 'acme/rocket', private: true });
    assert.equal((await ask('GET', repo, undefined, { token: 'reader' })).status, 404);
    verbs.repository({ repo: 'acme/rocket', archived: true });
    assert.equal((await ask('POST', `${repo}/issues/1/comments`, { body: 'x' })).status, 423);
    verbs.lock({ as: 'acme', repo: 'acme/rocket', issue: 1 });
    verbs.repository({ repo: 'acme/rocket', archived: false, private: false });
    assert.equal((await ask('POST', `${repo}/issues/1/comments`, { body: 'x' }, { token: 'reader' })).status, 403);
});

test('lists: filters that vanish, all of several labels, pull requests, since, pages', async () => {
    const { verbs, ask, repo } = await world();
    for (let i = 0; i < 55; i++) verbs.open({ as: 'writer', repo: 'acme/rocket', title: `n${i}`, labels: i % 2 ? ['bug'] : [] });
    verbs.push({ as: 'writer', repo: 'acme/rocket', branch: 'x' });
    verbs.open_pull({ as: 'writer', repo: 'acme/rocket', head: 'x', title: 'p' });
    const count = async (query) => (await ask('GET', `${repo}/issues?${query}`)).headers.get('x-total-count');
    assert.deepEqual(await Promise.all(['labels=nope', 'labels=bug', 'labels=bug,agent:a', 'labels=bug,nope', 'type=issues', 'state=closed'].map(count)), ['56', '27', '0', '27', '55', '0']);
    const cut = await ask('GET', `${repo}/issues?limit=1000`);
    assert.equal(cut.json.length, 50);
    assert.match(cut.headers.get('link'), /page=2.*rel="next"/);
    assert.equal((await ask('GET', `${repo}/issues`)).json.length, 30);
    verbs.advance({ seconds: 5 });
    verbs.comment({ as: 'reader', repo: 'acme/rocket', issue: 3, body: 'x' });
    assert.equal(await count('since=2026-01-01T00:00:05Z'), '1');
    assert.equal(await count('since=2026-01-01T00:00:06Z'), '0');
    assert.equal((await ask('GET', `${repo}/issues?since=yesterday`)).status, 422);
    assert.equal((await ask('GET', `${repo}/hooks`)).status, 403);
    for (let i = 0; i < 60; i++) verbs.comment({ as: 'writer', repo: 'acme/rocket', issue: 1, body: `${i}` });
    const comments = await ask('GET', `${repo}/issues/1/comments?limit=5&page=2`);
    assert.deepEqual([comments.json.length, comments.headers.get('link')], [60, null]);
    const timeline = await ask('GET', `${repo}/issues/1/timeline?limit=50&page=2`);
    assert.deepEqual([timeline.json.length, timeline.headers.get('x-total-count')], [10, '10']);
    assert.equal((await ask('GET', `${repo}/issues/2/timeline?page=2`)).text, 'null');
});

test('labels: dropped names, twins, exclusive scopes, the timeline, and events', async () => {
    const { verbs, ask, repo, double } = await world(), { got, url } = await receiver();
    verbs.make_hook({ repo: 'acme/rocket', url, secret: 's', events: ['issues'] });
    const twin = verbs.make_label({ repo: 'acme/rocket', name: 'bug' }).id;
    verbs.open({ as: 'reader', repo: 'acme/rocket', title: 'one', labels: [1] });
    const names = async (method, path, body) => (await ask(method, `${repo}/issues/1/labels${path}`, body)).json?.map((l) => l.name);
    assert.deepEqual(await names('POST', '', { labels: [99] }), ['bug']);
    assert.deepEqual(await names('POST', '', { labels: ['bug', 'nope'] }), ['bug', 'bug']);
    assert.equal((await ask('POST', `${repo}/issues/1/labels`, { labels: [1, 'bug'] })).status, 400);
    assert.deepEqual(await names('PUT', '', { labels: [3] }), ['fleet/queued']);
    assert.deepEqual(await names('POST', '', { labels: [4] }), ['fleet/done']);
    assert.equal((await ask('DELETE', `${repo}/issues/1/labels/${twin}`)).status, 204);
    assert.equal((await ask('DELETE', `${repo}/issues/1/labels/77`)).status, 422);
    verbs.trait({ absent_label: 422 });
    assert.equal((await ask('DELETE', `${repo}/issues/1/labels/${twin}`)).status, 422);
    verbs.label({ as: 'writer', repo: 'acme/rocket', issue: 1, labels: ['agent:a', 1] });
    verbs.clear_labels({ as: 'writer', repo: 'acme/rocket', issue: 1 });
    await double.hooks.quiet();
    const events = kinds(got).sort().join();
    assert.equal(events, [...Array(8).fill('issue_label label_updated'), 'issue_label label_cleared', 'issues opened'].sort().join());
    assert.deepEqual(got.find((d) => d.json.action === 'label_cleared').json.issue.labels.map((l) => l.name), ['agent:a', 'bug', 'fleet/done']);
    assert.ok(got.every((d) => !('label' in d.json)));
    const timeline = verbs.timeline({ repo: 'acme/rocket', issue: 1 });
    assert.deepEqual(timeline.slice(0, 2).map((e) => [e.user.login, e.label.id, e.body]), [['reader', 1, '1'], ['fleet', twin, '1']]);
    assert.deepEqual(timeline.slice(-3).map((e) => e.body), ['', '', '']);
});

test('deliveries: headers, signatures, forms, order, fates', async () => {
    const { verbs, double } = await world(), { got, url } = await receiver();
    verbs.make_hook({ repo: 'acme/rocket', url, secret: 'key', events: ['issues'] });
    verbs.open({ as: 'writer', repo: 'acme/rocket', title: 'a <b> & c', labels: ['bug'] });
    await double.hooks.quiet();
    const one = got.find((d) => d.json.action === 'opened'), hex = (algorithm) => createHmac(algorithm, 'key').update(one.text).digest('hex');
    assert.deepEqual([one.headers['x-forgejo-signature'], one.headers['x-hub-signature-256'], one.headers['x-hub-signature']], [hex('sha256'), `sha256=${hex('sha256')}`, `sha1=${hex('sha1')}`]);
    assert.equal(one.headers['x-github-signature'], undefined);
    assert.equal(new Set(['gogs', 'gitea', 'forgejo', 'github'].map((n) => one.headers[`x-${n}-delivery`])).size, 1);
    assert.ok(one.text.startsWith('{\n  "action": "opened"') && one.text.includes('a \\u003cb\\u003e \\u0026 c'));
    assert.deepEqual(one.json.issue.labels.map((l) => l.name), ['bug']);
    verbs.edit({ as: 'writer', repo: 'acme/rocket', issue: 1, title: 'x', body: 'y' });
    await double.hooks.quiet();
    assert.deepEqual(got.slice(2).map((d) => Object.keys(d.json.changes)[0]).sort(), ['body', 'title']);
    got.length = 0;
    verbs.fate({ hold: true });
    verbs.close({ as: 'writer', repo: 'acme/rocket', issue: 1 });
    verbs.reopen({ as: 'writer', repo: 'acme/rocket', issue: 1 });
    assert.equal(got.length, 0);
    verbs.fate({ hold: false });
    verbs.release_deliveries({ order: 'backward' });
    await double.hooks.quiet();
    assert.deepEqual(kinds(got).sort(), ['issues closed', 'issues reopened']);
    verbs.replay({ delivery: double.hooks.deliveries.at(-1).id });
    await double.hooks.quiet();
    assert.equal(got.length, 3);
    assert.equal(new Set(got.map((d) => d.text)).size, 2);
    assert.equal(new Set(got.map((d) => d.headers['x-forgejo-delivery'])).size, 3);
    verbs.fate({ lose: 0.3, double: 0.2, replay: 0.1, reorder: 0.3 });
    const before = double.hooks.deliveries.length;
    for (let i = 0; i < 200; i++) verbs.edit({ as: 'writer', repo: 'acme/rocket', issue: 1, title: `t${i}` });
    await double.hooks.quiet();
    const results = double.hooks.deliveries.slice(before).map((d) => d.result), lost = results.filter((r) => r === 'lost').length;
    assert.ok(lost > 35 && lost < 85, `${lost} lost`);
    assert.ok(results.every((r) => r === 'lost' || r === '200'), [...new Set(results)].join());
});

test('a form is signed as its JSON, and no secret gives empty signatures', async () => {
    const { verbs, double } = await world(), { got, url } = await receiver();
    verbs.make_hook({ repo: 'acme/rocket', url, secret: 'key', content_type: 'form', events: ['issues'] });
    verbs.make_hook({ repo: 'acme/rocket', url, events: ['issues'] });
    verbs.open({ as: 'writer', repo: 'acme/rocket', title: 'a + b' });
    await double.hooks.quiet();
    const form = got.find((d) => d.text.startsWith('payload=')), plain = got.find((d) => d !== form);
    const json = new URLSearchParams(form.text).get('payload');
    assert.equal(form.headers['x-forgejo-signature'], createHmac('sha256', 'key').update(json).digest('hex'));
    assert.deepEqual([plain.headers['x-forgejo-signature'], plain.headers['x-hub-signature-256'], plain.headers['x-hub-signature']], ['', 'sha256=', 'sha1=']);
    assert.notEqual(form.headers['x-forgejo-delivery'], plain.headers['x-forgejo-delivery']);
});

test('hooks by the API', async () => {
    const { verbs, ask, repo, double } = await world();
    verbs.make_token({ login: 'acme', token: 'owner' });
    const as = { token: 'owner' }, config = { url: 'http://127.0.0.1:1/', content_type: 'json', secret: 'key' };
    const made = (await ask('POST', `${repo}/hooks`, { type: 'forgejo', config, events: ['issues', 'pull_request', 'push'] }, as)).json;
    assert.equal(made.active, false);
    assert.ok(['issue_comment', 'issue_label', 'pull_request_sync', 'pull_request_review_rejected', 'push'].every((e) => made.events.includes(e)));
    assert.ok(!JSON.stringify(made).includes('key'));
    assert.equal((await ask('POST', `${repo}/hooks`, { type: 'forgejo', config: { url: 'x' } }, as)).status, 422);
    const edited = (await ask('PATCH', `${repo}/hooks/${made.id}`, { active: true, config: { secret: 'other' } }, as)).json;
    assert.deepEqual([edited.events, edited.active, double.world.hooks.get(made.id).secret], [['push'], true, 'key']);
});

test('a renamed repository answers 301 with a relative address, and is found by its id', async () => {
    const { verbs, ask, repo } = await world();
    verbs.rename_repo({ repo: 'acme/rocket', to: 'acme/ship' });
    const moved = await ask('GET', `${repo}/issues?state=all`);
    assert.deepEqual([moved.status, moved.headers.get('location')], [301, '/api/v1/repos/acme/ship/issues?state=all']);
    assert.equal((await ask('GET', '/repositories/1')).json.full_name, 'acme/ship');
    assert.equal((await ask('GET', '/repos/ACME/Ship')).status, 200);
});

test('pull requests: refusals, drafts, pushes, reviews, merges, a branch that goes', async () => {
    const { verbs, ask, repo, double } = await world(), { got, url } = await receiver();
    verbs.make_hook({ repo: 'acme/rocket', url, secret: 's', events: ['pull_request', 'push', 'issues'] });
    verbs.open({ as: 'writer', repo: 'acme/rocket', title: 'issue' });
    for (const branch of ['task/1', 'task/2']) verbs.push({ as: 'fleet', repo: 'acme/rocket', branch });
    const create = (body) => ask('POST', `${repo}/pulls`, { base: 'main', title: 't', ...body });
    assert.equal((await create({ head: 'none' })).status, 404);
    assert.equal((await create({ head: 'main' })).status, 422);
    const made = await create({ head: 'task/1', title: 'WIP: closes #1', body: 'closes #1' });
    assert.deepEqual([made.status, made.json.draft, made.json.head.ref], [201, true, 'task/1']);
    assert.equal((await create({ head: 'task/1' })).status, 409);
    const { sha } = verbs.push({ as: 'fleet', repo: 'acme/rocket', branch: 'task/1' });
    verbs.review({ as: 'writer', repo: 'acme/rocket', pull: 2, state: 'REQUEST_CHANGES', body: 'no', comments: [{ path: 'f', body: 'here', new_position: 4 }] });
    assert.equal((await ask('GET', `${repo}/pulls/2/reviews/1/comments`)).json[0].position, 4);
    assert.throws(() => verbs.merge({ as: 'writer', repo: 'acme/rocket', pull: 2 }), /Work in progress/);
    await ask('PATCH', `${repo}/pulls/2`, { title: 'done' });
    verbs.merge({ as: 'writer', repo: 'acme/rocket', pull: 2 });
    const merged = (await ask('GET', `${repo}/pulls/2`)).json;
    assert.deepEqual([merged.merged, merged.state, merged.head.sha], [true, 'closed', sha]);
    assert.equal((await ask('GET', `${repo}/issues/1`)).json.state, 'closed');
    await create({ head: 'task/2' });
    verbs.delete_branch({ as: 'fleet', repo: 'acme/rocket', branch: 'task/2' });
    const closed = (await ask('GET', `${repo}/pulls/3`)).json;
    assert.deepEqual([closed.merged, closed.state, closed.head.ref], [false, 'closed', 'refs/pull/3/head']);
    await double.hooks.quiet();
    const seen = kinds(got);
    for (const kind of ['pull_request opened', 'pull_request_sync synchronized', 'pull_request_review_rejected reviewed', 'pull_request closed', 'issues closed', 'push']) assert.ok(seen.includes(kind), kind);
    assert.deepEqual(got.filter((d) => d.headers['x-forgejo-event-type'] === 'pull_request_review_rejected').map((d) => [d.headers['x-forgejo-event'], d.json.review.content]), [['pull_request_rejected', 'no']]);
});

test('commit statuses: the answer\'s key, the newest of a context, what is not looked at', async () => {
    const { verbs, ask, repo } = await world(), { sha } = verbs.push({ as: 'fleet', repo: 'acme/rocket', branch: 'b' });
    const set = (body) => ask('POST', `${repo}/statuses/${sha}`, body);
    assert.deepEqual((await ask('GET', `${repo}/commits/b/status`)).json.statuses, null);
    const first = (await set({ state: 'failure', context: 'ci' })).json;
    assert.deepEqual([first.status, first.state, first.id], ['failure', undefined, 1]);
    await set({ state: 'success', context: 'ci' });
    await set({ state: 'pending', context: 'other' });
    const combined = (await ask('GET', `${repo}/commits/b/status`)).json;
    assert.deepEqual([combined.state, combined.statuses.length], ['pending', 2]);
    assert.equal((await ask('GET', `${repo}/statuses/${sha.slice(0, 10)}`)).json.length, 3);
    assert.equal((await set({ state: 'cancelled' })).status, 500);
    assert.equal((await ask('POST', `${repo}/statuses/${'0'.repeat(40)}`, { state: 'success' })).status, 500);
    verbs.trait({ version: '15.0.3+gitea-1.22.0' });
    assert.equal((await ask('POST', `${repo}/statuses/${'0'.repeat(40)}`, { state: 'success' })).status, 404);
});

test('faults: cut after the change, held, a proxy, away', async () => {
    const { verbs, ask, repo, double } = await world(), path = `${repo}/issues/1/comments`;
    verbs.open({ as: 'writer', repo: 'acme/rocket', title: 'one' });
    const count = () => double.world.repos.get(1).numbers.get(1).timeline.length;
    verbs.fault({ mode: 'cut', match: 'POST .*/comments', times: 1 });
    await assert.rejects(ask('POST', path, { body: 'x' }));
    assert.equal(count(), 1);
    verbs.fault({ mode: 'hold', match: 'POST .*/comments', times: 1 });
    const held = ask('POST', path, { body: 'y' });
    while (double.faults.held.length === 0) await new Promise((go) => setImmediate(go));
    assert.equal(count(), 2);
    verbs.release();
    assert.equal((await held).status, 201);
    verbs.fault({ mode: 'bad_gateway', times: 1 });
    assert.match((await ask('GET', path)).text, /<html>/);
    verbs.fault({ mode: 'limited', retry_after: 7, times: 1 });
    assert.equal((await ask('GET', path)).headers.get('retry-after'), '7');
    verbs.refuse({ ms: 300 });
    await new Promise((go) => setTimeout(go, 50));
    await assert.rejects(ask('GET', path));
    while (!double.http.listening) await new Promise((go) => setTimeout(go, 20));
    assert.equal((await ask('GET', path)).json.length, 2);
});

test('branches of bare repositories: pushes by others are seen', async () => {
    const git = mkdtempSync(join(tmpdir(), 'double-'));
    ended.push(() => rmSync(git, { recursive: true }));
    const { verbs, double, ask, repo } = await world({ git }), { got, url } = await receiver(), folder = join(git, 'acme/rocket.git');
    verbs.make_hook({ repo: 'acme/rocket', url, secret: 's', events: ['pull_request', 'push'] });
    const run = (...words) => execFileSync('git', ['-C', folder, '-c', 'user.name=a', '-c', 'user.email=a@b', ...words], { encoding: 'utf8' }).trim();
    const main = run('rev-parse', 'main'), commit = run('commit-tree', '-p', main, '-m', 'work', `${main}^{tree}`);
    run('update-ref', 'refs/heads/task/a', commit);
    double.branches.scanAll();
    const { number } = verbs.open_pull({ as: 'fleet', repo: 'acme/rocket', head: 'task/a', title: 't' });
    assert.equal((await ask('GET', `${repo}/pulls/${number}`)).json.head.sha, commit);
    verbs.merge({ as: 'writer', repo: 'acme/rocket', pull: number });
    assert.match(run('log', '-1', '--format=%s', 'main'), /Merge pull request/);
    verbs.rename_repo({ repo: 'acme/rocket', to: 'acme/ship' });
    assert.equal((await ask('GET', '/repos/acme/ship/branches/task%2Fa')).json.commit.id, commit);
    await double.hooks.quiet();
    assert.deepEqual(kinds(got), ['push', 'pull_request opened', 'push', 'pull_request closed']);
});
