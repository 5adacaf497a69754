// How the API fails at will: away, a proxy's error page, slow, cut after the change, an answer held back.
const PAGE = '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n';

// A rule: { mode, match (a pattern over "METHOD /path"), times (null: until cleared), ... }.
//   bad_gateway               502 with an HTML page, nothing is done
//   limited {retry_after}     429 as a proxy says it
//   status {status, body, retry_after}
//   slow {ms}                 answered late, after the change
//   stall                     never answered, nothing is done
//   cut                       the change is committed, then the connection ends without an answer
//   cut_before                the connection ends, nothing is done
//   hold                      the change is committed, the answer waits for release()
//   hold_before               the request waits for release() before anything is done
//   garbled                   200, and a JSON that ends in the middle
//   redirect {location}       302
export class Faults {
    constructor() { this.rules = []; this.held = []; this.hits = 0; }

    add(rule) { this.rules.push({ match: '.', times: null, ...rule, pattern: new RegExp(rule.match ?? '.') }); }

    clear() {
        this.rules = [];
        this.release();
    }

    release() {
        const held = this.held.splice(0);
        for (const go of held) go();
        return held.length;
    }

    find(method, path) {
        const rule = this.rules.find((r) => (r.times === null || r.times > 0) && r.pattern.test(`${method} ${path}`));
        if (!rule) return null;
        if (rule.times !== null) rule.times -= 1;
        this.hits += 1;
        return rule;
    }

    wait() { return new Promise((go) => this.held.push(go)); }

    // answer(): does the work and gives the answer; socket: what "cut" ends. Gives the answer, or null for none.
    async run(rule, socket, answer) {
        const cut = () => { socket.destroy(); return null; };
        switch (rule?.mode) {
        case undefined: return answer();
        case 'bad_gateway': return { status: 502, headers: { 'Content-Type': 'text/html' }, body: PAGE };
        case 'limited': return { status: 429, headers: { 'Content-Type': 'text/plain', 'Retry-After': String(rule.retry_after ?? 1) }, body: 'Too Many Requests\n' };
        case 'status': return { status: rule.status, headers: rule.retry_after ? { 'Retry-After': String(rule.retry_after) } : {}, body: rule.body ?? '' };
        case 'slow': {
            const given = answer();
            await new Promise((go) => setTimeout(go, rule.ms ?? 1000));
            return given;
        }
        case 'stall': return new Promise(() => {});
        case 'cut': answer(); return cut();
        case 'cut_before': return cut();
        case 'hold': {
            const given = answer();
            await this.wait();
            return given;
        }
        case 'hold_before': await this.wait(); return answer();
        case 'garbled': answer(); return { status: 200, headers: { 'Content-Type': 'application/json' }, body: '[{"id": 1, "bod' };
        case 'redirect': return { status: 302, headers: { Location: rule.location }, body: '' };
        default: throw new Error(`no fault "${rule.mode}"`);
        }
    }
}
