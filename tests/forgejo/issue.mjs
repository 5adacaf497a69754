// What can be done to issues (pull requests are issues, too): text, state, labels, comments, reactions.
// Who may is decided by the callers: the API and the web forms of the control have different rules.
import { Refusal } from './world.mjs';

export class Issues {
    constructor(world) { this.world = world; }

    find(repo, number) {
        const issue = repo.numbers.get(Number(number));
        if (!issue) throw new Refusal(404, `issue does not exist [id: 0, repo_id: ${repo.id}, index: ${number}]`);
        return issue;
    }

    // A line in the issue's timeline; comments are such lines and share their ids.
    note(issue, author, type, more = {}) {
        const now = this.world.now();
        const line = { id: this.world.id('comment'), issue, author, type, body: '', created: now, updated: now, reactions: [], ...more };
        issue.timeline.push(line);
        this.world.comments.set(line.id, line);
        issue.updated = now;
        return line;
    }

    // `extra` of an event: labels (other ones than the issue has), changes, comment, review, commit_id.
    tell(issue, doer, type, action, extra = {}) {
        this.world.emit({ of: issue.pull ? 'pull' : 'issue', type, action, issue, doer, repo: issue.repo, ...extra });
    }

    // `fine` is "label", "assign", ... or nothing: issue_label and pull_request_label are one thing.
    type(issue, fine) {
        if (!fine) return issue.pull ? 'pull_request' : 'issues';
        return `${issue.pull ? 'pull_request' : 'issue'}_${fine}`;
    }

    make(repo, doer, { title, body = '', labels = [], assignees = [], milestone = null, pull = null }) {
        const now = this.world.now();
        const issue = {
            id: this.world.id('issue'), repo, number: ++repo.last, author: doer, title: Buffer.from(title).subarray(0, 255).toString(), body,
            state: 'open', labels: [], assignees: [], milestone, locked: false, reactions: [], timeline: [],
            created: now, updated: now, closed: null, pull,
        };
        repo.numbers.set(issue.number, issue);
        this.world.issues.set(issue.id, issue);
        for (const label of labels) this.attach(issue, doer, label);
        issue.assignees = assignees;
        return issue;
    }

    // assigned (one each), opened (its body has the labels already), one label_updated, milestoned.
    open(repo, doer, fields) {
        const issue = this.make(repo, doer, fields);
        for (const assignee of issue.assignees) {
            this.note(issue, doer, 'assignees', { assignee });
            this.tell(issue, doer, 'issue_assign', 'assigned');
        }
        this.tell(issue, doer, 'issues', 'opened');
        if (issue.labels.length) this.tell(issue, doer, 'issue_label', 'label_updated');
        if (issue.milestone) this.tell(issue, doer, 'issue_milestone', 'milestoned');
        return issue;
    }

    // Title and body are told separately.
    edit(issue, doer, { title, body }) {
        if (title !== undefined && title !== issue.title) {
            const from = issue.title;
            issue.title = Buffer.from(title).subarray(0, 255).toString();
            this.note(issue, doer, 'change_title', { old_title: from, new_title: issue.title });
            this.tell(issue, doer, this.type(issue), 'edited', { changes: { title: { from } } });
        }
        if (body !== undefined && body !== issue.body) {
            const from = issue.body;
            issue.body = body;
            issue.updated = this.world.now();
            this.tell(issue, doer, this.type(issue), 'edited', { changes: { body: { from } } });
        }
    }

    close(issue, doer, commit_id = '') {
        if (issue.state === 'closed') return;
        issue.state = 'closed';
        issue.closed = this.world.now();
        this.note(issue, doer, 'close');
        this.tell(issue, doer, this.type(issue), 'closed', { commit_id });
    }

    reopen(issue, doer) {
        if (issue.state === 'open') return;
        if (issue.pull?.merged) throw new Refusal(412, 'cannot change state of this pull request, it was already merged');
        issue.state = 'open';
        issue.closed = null;
        this.note(issue, doer, 'reopen');
        this.tell(issue, doer, this.type(issue), 'reopened');
    }

    attach(issue, doer, label) {
        if (issue.labels.includes(label) || !issue.repo.labels.includes(label)) return;
        if (label.exclusive) {
            const scope = (name) => name.slice(0, name.lastIndexOf('/'));
            for (const other of issue.labels.filter((l) => l.exclusive && scope(l.name) === scope(label.name))) this.detach(issue, doer, other);
        }
        issue.labels.push(label);
        issue.labels.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.id - b.id));
        this.note(issue, doer, 'label', { label, body: '1' });
    }

    detach(issue, doer, label) {
        if (!issue.labels.includes(label)) return;
        issue.labels = issue.labels.filter((l) => l !== label);
        this.note(issue, doer, 'label', { label, body: '' });
    }

    changed(issue, doer) { this.tell(issue, doer, this.type(issue, 'label'), 'label_updated'); }

    // One event however many labels, and one even if nothing changed.
    addLabels(issue, doer, labels) {
        for (const label of labels) this.attach(issue, doer, label);
        this.changed(issue, doer);
    }

    removeLabel(issue, doer, label) {
        this.detach(issue, doer, label);
        this.changed(issue, doer);
    }

    replaceLabels(issue, doer, labels) {
        const before = [...issue.labels];
        for (const label of labels) this.attach(issue, doer, label);
        for (const label of before) if (!labels.includes(label)) this.detach(issue, doer, label);
        this.changed(issue, doer);
    }

    // The event's issue still has the labels that went.
    clearLabels(issue, doer) {
        const before = issue.labels;
        for (const label of [...before]) this.detach(issue, doer, label);
        this.tell(issue, doer, this.type(issue, 'label'), 'label_cleared', { labels: before });
    }

    setMilestone(issue, doer, milestone) {
        const old_milestone = issue.milestone;
        if (old_milestone === milestone) return;
        issue.milestone = milestone;
        this.note(issue, doer, 'milestone', { milestone, old_milestone });
        this.tell(issue, doer, this.type(issue, 'milestone'), milestone ? 'milestoned' : 'demilestoned');
    }

    assign(issue, doer, assignee, remove = false) {
        if (issue.assignees.includes(assignee) !== remove) return;
        issue.assignees = remove ? issue.assignees.filter((a) => a !== assignee) : [...issue.assignees, assignee];
        this.note(issue, doer, 'assignees', { assignee, removed_assignee: remove });
        this.tell(issue, doer, this.type(issue, 'assign'), remove ? 'unassigned' : 'assigned');
    }

    lock(issue, doer, locked) {
        if (issue.locked === locked) return;
        issue.locked = locked;
        this.note(issue, doer, locked ? 'lock' : 'unlock'); // no event
    }

    comment(issue, doer, body) {
        const comment = this.note(issue, doer, 'comment', { body });
        this.tell(issue, doer, this.type(issue, 'comment'), 'created', { comment });
        return comment;
    }

    editComment(comment, doer, body) {
        const from = comment.body;
        comment.body = body;
        comment.updated = this.world.now();
        if (from !== body) this.tell(comment.issue, doer, this.type(comment.issue, 'comment'), 'edited', { comment, changes: { body: { from } } });
    }

    deleteComment(comment, doer) {
        comment.issue.timeline = comment.issue.timeline.filter((line) => line !== comment);
        this.world.comments.delete(comment.id);
        this.tell(comment.issue, doer, this.type(comment.issue, 'comment'), 'deleted', { comment });
    }

    deleteIssue(issue) { // no event
        issue.repo.numbers.delete(issue.number);
        this.world.issues.delete(issue.id);
        for (const line of issue.timeline) this.world.comments.delete(line.id);
    }

    // of: an issue or a comment.
    react(of, user, content) {
        const had = of.reactions.find((r) => r.user === user && r.content === content);
        if (had) return { reaction: had, made: false };
        const reaction = { user, content, created: this.world.now() };
        of.reactions.push(reaction);
        return { reaction, made: true };
    }

    unreact(of, user, content) { of.reactions = of.reactions.filter((r) => r.user !== user || r.content !== content); }
}
