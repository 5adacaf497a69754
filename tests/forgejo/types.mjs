// Checks the double's answers with the typed client that is generated from Forgejo's own API description: its functions make
// the calls, and its types say what the answers must be. `node types.mjs FOLDER`, where node_modules has the client.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Declared } from './declared.mjs';
import { Double } from './double.mjs';

const folder = process.argv[2], client = 'node_modules/@llamaduck/forgejo-ts/dist';
const declared = new Declared(join(folder, client, 'index.d.ts')), api = createRequire(join(folder, 'package.json'))('@llamaduck/forgejo-ts');

// Members that Forgejo leaves out when they are empty, that are newer or older than the description, or said by admins only.
const RARELY = ['url', 'username', 'original_author_id', 'repo_transfer', 'parent', 'content_version', 'extra_lines_count', 'pronouns', 'flow',
    'assignee_team', 'external_tracker', 'external_wiki', 'role_name', 'is_archived', 'errors', 'language', 'licenses', 'wiki_clone_url', 'wiki_ssh_url', 'has_wiki_contents'];

const double = new Double({ root: '', seed: 1 }), port = await double.listen(0), { verbs } = double;
for (const login of ['acme', 'writer', 'fleet']) verbs.make_user({ login });
verbs.make_repo({ name: 'acme/rocket', labels: ['bug', 'agent:code:rust', { name: 'fleet/done', exclusive: true }], milestones: ['one'], collaborators: { writer: 'write', fleet: 'admin' } });
verbs.make_token({ login: 'fleet', token: 'good' });
verbs.open({ as: 'writer', repo: 'acme/rocket', title: 'one', labels: ['bug'], milestone: 'one', assignees: ['writer'] });
verbs.comment({ as: 'writer', repo: 'acme/rocket', issue: 1, body: 'hello' });
verbs.edit({ as: 'writer', repo: 'acme/rocket', issue: 1, title: 'two' });
const { sha } = verbs.push({ as: 'fleet', repo: 'acme/rocket', branch: 'task/a' });
verbs.push({ as: 'fleet', repo: 'acme/rocket', branch: 'task/b' });

const web = createRequire(join(folder, 'package.json'))('@llamaduck/forgejo-ts/client');
const made = web.createClient(web.createConfig({ baseURL: `http://127.0.0.1:${port}/api/v1`, headers: { Authorization: 'token good' } }));
const at = (more = {}) => ({ owner: 'acme', repo: 'rocket', ...more });
let failed = 0, passed = 0, last;

async function call(operation, path, body, query, headers) {
    const given = await api[operation]({ client: made, path, body, query, headers });
    const { status, data } = given.status ? given : given.response ?? given.error?.response ?? {};
    const value = given.data ?? data, type = declared.answerOf(operation, status);
    let offences;
    if (type === null) offences = [`answers ${status}, which the description does not have: ${JSON.stringify(value ?? given.error?.message ?? '').slice(0, 200)}`];
    else if (type === 'unknown' || type === 'void') offences = [];
    else offences = declared.offences(value, type, operation, RARELY);
    if (offences.length) {
        failed += 1;
        console.log(`FAIL types: ${operation}\n${[...new Set(offences)].slice(0, 12).map((o) => `     ${o}`).join('\n')}`);
    } else passed += 1;
    last = value;
    return value;
}

const hook = { type: 'forgejo', active: true, events: ['issues'], config: { url: 'http://127.0.0.1:1/', content_type: 'json', secret: 'x' } };
await call('getVersion');
await call('getGeneralApiSettings');
await call('userGetCurrent');
await call('userGet', { username: 'writer' });
await call('userCurrentListRepos');
await call('userListRepos', { username: 'acme' });
await call('repoGet', at());
await call('repoGetById', { id: 1 });
await call('repoGetRepoPermissions', at({ collaborator: 'writer' }));
await call('issueListLabels', at());
await call('issueCreateLabel', at(), { name: 'fleet/queued', color: '#00aabb', exclusive: true });
await call('issueGetLabel', at({ id: last.id }));
await call('issueListIssues', at(), undefined, { state: 'all', type: 'issues', since: '2020-01-01T00:00:00Z' });
await call('issueGetIssue', at({ index: 1 }));
await call('issueCreateIssue', at(), { title: 'three', body: 'text', labels: [1] });
await call('issueEditIssue', at({ index: last.number }), { state: 'closed' });
await call('issueGetComments', at({ index: 1 }));
await call('issueGetRepoComments', at());
await call('issueCreateComment', at({ index: 1 }), { body: 'mine' });
const comment = last.id;
await call('issueEditComment', at({ id: comment }), { body: 'edited' });
await call('issueGetComment', at({ id: comment }));
await call('issuePostCommentReaction', at({ id: comment }), { content: 'eyes' });
await call('issueGetCommentReactions', at({ id: comment }));
await call('issuePostIssueReaction', at({ index: 1 }), { content: 'rocket' });
await call('issueGetIssueReactions', at({ index: 1 }));
await call('issueAddLabel', at({ index: 1 }), { labels: [2] });
await call('issueReplaceLabels', at({ index: 1 }), { labels: [2, 3] });
await call('issueGetLabels', at({ index: 1 }));
await call('issueRemoveLabel', at({ index: 1, identifier: '2' }), {});
await call('issueGetCommentsAndTimeline', at({ index: 1 }), undefined, { page: 1, limit: 50 });
await call('issueClearLabels', at({ index: 1 }), {});
await call('issueDeleteComment', at({ id: comment }));
await call('repoCreateHook', at(), hook);
const made_hook = last.id;
await call('repoListHooks', at());
await call('repoGetHook', at({ id: made_hook }));
await call('repoEditHook', at({ id: made_hook }), { active: false });
await call('repoTestHook', at({ id: made_hook }));
await call('repoDeleteHook', at({ id: made_hook }));
await call('repoListBranches', at());
await call('repoGetBranch', at({ branch: 'main' }));
await call('repoCreatePullRequest', at(), { head: 'task/a', base: 'main', title: 'WIP: a', body: '' });
const pull = last.number;
await call('repoGetPullRequest', at({ index: pull }));
await call('repoEditPullRequest', at({ index: pull }), { title: 'a' });
await call('repoListPullRequests', at());
await call('repoGetPullRequestByBaseHead', at({ base: 'main', head: 'task/a' }));
double.verbs.review({ as: 'writer', repo: 'acme/rocket', pull, state: 'REQUEST_CHANGES', body: 'no', comments: [{ path: 'a', body: 'b', new_position: 1 }] });
await call('repoListPullReviews', at({ index: pull }));
const review = last[0].id;
await call('repoGetPullReview', at({ index: pull, id: review }));
await call('repoGetPullReviewComments', at({ index: pull, id: review }));
await call('repoCreatePullReview', at({ index: pull }), { event: 'COMMENT', body: 'well' });
await call('repoCreateStatus', at({ sha }), { state: 'success', context: 'ci', description: 'ok', target_url: 'http://x/' });
await call('repoListStatuses', at({ sha }));
await call('repoListStatusesByRef', at({ ref: 'task/a' }));
await call('repoGetCombinedStatusByRef', at({ ref: 'task/a' }));
await call('repoMergePullRequest', at({ index: pull }), { Do: 'merge' });
await call('repoPullRequestIsMerged', at({ index: pull }));
await call('issueGetCommentsAndTimeline', at({ index: pull }));
await call('repoDeleteBranch', at({ branch: 'task/b' }));
double.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
