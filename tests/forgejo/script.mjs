// The next act of an issue's random script: what people could do there now. Left out is only what cannot be told apart when
// it is seen at once: a command that comes before its task, one that is overtaken by closing and reopening, and which was first,
// the closing of a pull request or the reopening of its issue.

const AGENTS = ['agent:code:rust', 'agent:review'];
const OTHERS = ['bug', 'priority:high'];
const WORDS = ['rerun', 'cancel', 'status', 'help', 'approve', 'frobnicate'];

// issue: { number, acts, model, round (notes of this round), branch, pull }. Gives { verb, fields, model(m), done? }.
export function next(issue, random) {
    const { model } = issue, who = random.pick(['writer', 'other', 'acme']), anyone = random.pick(['writer', 'other', 'acme', 'reader', 'stranger']);
    if (!issue.number) return open(random);
    const on = [...model.labels.keys()], acts = {};
    const offer = (weight, word, make) => { acts[word] = [weight, make]; };

    const agents = AGENTS.filter((name) => !on.includes(name));
    if (agents.length && !issue.pull) offer(6, 'label', () => label(who, random.pick(agents)));
    if (on.some((name) => AGENTS.includes(name)) && !issue.pull) offer(3, 'unlabel', () => unlabel(who, random.pick(on.filter((name) => AGENTS.includes(name)))));
    const others = OTHERS.filter((name) => !on.includes(name));
    if (others.length) offer(2, 'other', () => label(who, random.pick(others)));
    if (on.some((name) => OTHERS.includes(name))) offer(1, 'no_other', () => unlabel(who, random.pick(on.filter((name) => OTHERS.includes(name)))));
    offer(3, 'edit', () => edit(random.chance(0.7) ? model.author : who));
    offer(2, 'comment', () => ({ verb: 'comment', fields: { as: anyone, body: random.pick(['fine', 'see /agent cancel', 'thanks @fleet', '> /agent retry']) }, model: (m) => m.seen(anyone) }));
    const closer = random.chance(0.5) ? model.author : who;
    if (model.open && !issue.round.commanded) offer(3, 'close', () => ({ verb: 'close', fields: { as: closer }, model: (m) => m.close(closer) }));
    if (!model.open && !issue.round.commanded && !issue.round.settled) offer(6, 'reopen', () => { issue.round.reopened = true; return { verb: 'reopen', fields: { as: who }, model: (m) => m.reopen(who) }; });
    if (model.open && issue.branch && model.agents().length) offer(3, 'command', () => command(issue, anyone, random.pick(issue.pull ? ['status', 'help'] : WORDS)));
    if (issue.branch && !issue.pull && ['completed', 'failed'].includes(model.status)) offer(5, 'pull', () => pull(issue, who));
    if (issue.pull && model.pull === 'open') {
        offer(3, 'review', () => review(anyone === issue.puller ? 'stranger' : anyone, random.pick(['REQUEST_CHANGES', 'REQUEST_CHANGES', 'COMMENT'])));
        offer(2, 'merge', () => ({ verb: 'merge', fields: { as: who, issue: undefined }, model: (m) => m.pulled(who, 'merged') }));
        offer(1, 'push', () => push(issue, who));
        if (!model.waiting() && !issue.round.reopened) offer(1, 'close_pull', () => { issue.round.settled = true; return { verb: 'close', fields: { as: who, issue: undefined }, model: (m) => m.pulled(who, 'closed') }; });
    }
    const words = Object.fromEntries(Object.entries(acts).map(([word, [weight]]) => [word, weight]));
    return acts[random.weighted(words)][1]();
}

function open(random) {
    const as = random.pick(['writer', 'other', 'reader', 'stranger']);
    const labels = [...(random.chance(0.4) ? [random.pick(AGENTS)] : []), ...(random.chance(0.3) ? ['bug'] : [])];
    return { verb: 'open', fields: { as, title: `Issue of ${as}`, body: 'Do it.', labels }, model: (m) => m.opened(as, labels),
        done: (given, issue) => { issue.number = given.number; } };
}

function label(as, name) { return { verb: 'label', fields: { as, label: name }, model: (m) => m.label(as, name) }; }
function unlabel(as, name) { return { verb: 'unlabel', fields: { as, label: name }, model: (m) => m.unlabel(as, name) }; }

let edits = 0;
function edit(as) { return { verb: 'edit', fields: { as, body: `Do it, ${++edits}.` }, model: (m) => m.edit(as) }; }

function command(issue, as, word) {
    issue.round.commanded = true;
    return { verb: 'comment', fields: { as, body: `/agent ${word}\nplease` }, model: (m) => m.command(as, word) };
}

function push(issue, as) { return { verb: 'push', fields: { as, branch: issue.branch }, model: () => {} }; }

function pull(issue, as) {
    return { before: [push(issue, as)], verb: 'open_pull', fields: { as, head: issue.branch, title: `Work of ${issue.number}` }, model: (m) => m.pulled(as, 'open'),
        done: (given) => { Object.assign(issue, { pull: given.number, puller: as }); } };
}

function review(as, state) { return { verb: 'review', fields: { as, issue: undefined, state, body: 'Not yet.' }, model: (m) => m.review(as, state) }; }
