// What should be: a simple model of one issue and its task, written from the rules and not from the SQL. It sees every act at
// once and in order, which the fleet does not; when all is quiet both must agree.
//
//   - Each `agent:` label counts by whoever added it. The ask is the newest of those that somebody who may start added; a run
//     needs an ask that has not had one, and all agent labels on the issue by people who may start.
//   - The text that counts is that of the ask: an edit by somebody who may not start holds what waits, until somebody who may
//     asks for it anew or approves it. Who writes issues and may start is believed.
//   - Without agent labels, or closed without an open pull request, what waits is cancelled. Reopening brings back what the
//     closing cancelled, when no run of that ask had begun.
//   - A command counts from who may start, `cancel` also from who wrote the issue, and so may close it.
//
// The fleet cannot always tell who changed a text, nor that nobody did: Forgejo says only that the issue changed in the second of
// the label or later, and what was changed in the second of an approval, or not seen before it, is not what was approved. Then it
// holds what it could have let go: `doubt`. It never lets go what it had to hold.

export class Model {
    // policy: 'none', or 'untrusted': what a stranger asked for waits for approval; trusted(login); outcome(run number).
    constructor({ policy, trusted, outcome }) {
        Object.assign(this, { policy, trusted, outcome });
        this.labels = new Map(); // name -> { by, at }: at counts acts
        this.clock = 0;
        this.open = true;
        this.author = null;
        this.status = null; // of the task; null: there is none
        this.held = false;
        this.runs = 0;
        this.asked = 0; // the ask for which it waits, or waited
        this.served = 0; // the newest ask that had its run, or that a person turned down
        this.closed_it = false; // the closing cancelled what waited
        this.pull = null; // null, open, merged, closed
        this.text = 'good'; // bad: changed by somebody who may not start, behind the ask; doubt: the fleet cannot know
        this.why = null;
        this.before = null;
        this.wished = false;
        this.edited = false; // in this round; and approved
        this.approved = false;
        this.unsure = false; // approved in a round in which the text was changed
    }

    // A round begins: what was asked for and taken back in it may have been seen or not.
    begin() { Object.assign(this, { before: this.status, wished: false, edited: false, approved: false }); }

    mayBe(status) {
        if (status !== this.before || this.before === 'created' || this.wished) return false;
        if (this.status === 'cancelled') return !this.open || !this.agents().length || this.ask() < this.asked;
        return this.waiting() && this.ask() <= this.served;
    }

    agents() { return [...this.labels].filter(([name]) => name.startsWith('agent:')).map(([, label]) => label); }

    // Labels by people who may not start are left out beside those of others.
    permitted() { return this.agents().some((l) => this.trusted(l.by)); }

    ask() { return Math.max(0, ...this.agents().filter((l) => this.trusted(l.by)).map((l) => l.at)); }

    waiting() { return this.status === 'created'; }

    doubt() { return this.waiting() && this.permitted() && this.text !== 'bad' && (!this.trusted(this.author) || this.unsure); }

    cancel(why) { Object.assign(this, { status: 'cancelled', held: false, why }); }

    wait() { Object.assign(this, { status: 'created', why: null, asked: this.waiting() ? Math.max(this.asked, this.ask()) : this.ask(), closed_it: false, held: this.text === 'bad' || !this.permitted() }); }

    look() {
        if (!this.open) {
            if (this.waiting() && this.pull !== 'open') {
                this.cancel('issue_closed');
                this.closed_it = true;
            }
        } else if (!this.agents().length) {
            if (this.waiting()) this.cancel('label_removed');
        } else if (!this.permitted()) {
            if (Math.max(...this.agents().map((l) => l.at)) <= this.served) return;
            if (this.policy === 'untrusted') this.wait();
            else if (this.waiting() || this.status === null) this.cancel('not_permitted');
        } else if (this.status === 'review_pending') {
            this.served = Math.max(this.served, this.ask()); // it is at work
        } else if (this.ask() > this.served || this.waiting()) this.wait();
    }

    opened(by, labels) {
        this.author = by;
        for (const name of labels) this.labels.set(name, { by, at: ++this.clock });
        this.look();
    }

    label(by, name) {
        this.labels.set(name, { by, at: ++this.clock });
        if (name.startsWith('agent:') && this.trusted(by)) this.text = 'good'; // it is asked for as it is
        this.seen(by);
    }

    unlabel(by, name) {
        this.labels.delete(name);
        this.seen(by);
    }

    // Somebody who may start did something: the delivery of that has the text, and its sender.
    seen(by) {
        if (this.text === 'bad' && this.trusted(by)) this.text = 'doubt';
        this.look();
    }

    edit(by) {
        this.edited = true;
        this.unsure ||= this.approved;
        this.text = this.trusted(this.author) ? 'good' : this.trusted(by) ? 'doubt' : 'bad';
        this.look();
    }

    close(by) {
        this.open = false;
        this.seen(by);
    }

    reopen(by) {
        this.open = true;
        if (!this.closed_it && !this.waiting() && this.ask() <= this.served) return;
        this.seen(by);
    }

    command(by, word) {
        const may = this.trusted(by) || (word === 'cancel' && by === this.author);
        if (!may || !this.status) { this.seen(by); return; }
        if (word === 'cancel' && this.waiting()) {
            this.served = Math.max(this.served, this.ask());
            this.cancel('by_command');
        } else if (word === 'rerun' && ['completed', 'failed', 'cancelled'].includes(this.status) && this.why !== 'not_permitted') {
            this.wished = true;
            this.wait();
        } else if (word === 'approve' && this.held) {
            this.text = 'good';
            this.approved = true;
            this.unsure = this.edited;
            for (const label of this.agents()) label.by = by;
            this.wait();
        }
        this.seen(by);
    }

    // A pull request of the task's own branch: open, merged, closed.
    pulled(by, state) {
        this.pull = state;
        if (state === 'open' && ['completed', 'failed'].includes(this.status)) this.status = 'review_pending';
        if (state === 'merged') Object.assign(this, { status: 'completed', held: false });
        if (state === 'closed' && this.status === 'review_pending') this.status = 'failed';
        this.seen(by);
    }

    review(by, state) {
        if (state === 'REQUEST_CHANGES' && this.trusted(by) && this.pull === 'open' && this.status === 'review_pending') {
            this.wished = true;
            this.wait();
        }
        if (this.waiting()) this.seen(by);
    }

    // All that waits and may, runs to its end.
    run() {
        if (!this.waiting() || this.held) return;
        this.runs += 1;
        this.unsure = false;
        this.served = Math.max(this.served, this.ask());
        this.status = this.pull === 'open' ? 'review_pending' : this.outcome(this.runs);
    }

    // What the fleet's comment calls the state.
    words() {
        if (this.held) return 'on hold';
        return { created: 'queued', review_pending: 'waiting for a review', completed: 'done', failed: 'failed', cancelled: 'cancelled' }[this.status];
    }

    // Of the task's states, the label that the fleet keeps on the issue.
    stateLabel() {
        return { created: 'fleet/queued', review_pending: 'fleet/review', completed: 'fleet/done', failed: 'fleet/failed' }[this.status] ?? null;
    }
}
