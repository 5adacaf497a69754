// HTTP as Forgejo's API speaks it: reading bodies by content type, error bodies, pages.
import { Refusal } from './world.mjs';

export const MAX_LIMIT = 50;
export const DEFAULT_LIMIT = 30;

export function readAll(request) {
    return new Promise((done, failed) => {
        const parts = [];
        request.on('data', (part) => parts.push(part));
        request.on('end', () => done(Buffer.concat(parts).toString('utf8')));
        request.on('error', failed);
        request.on('aborted', () => failed(new Error('aborted')));
    });
}

export function refusalBody(root, { status, text, extra }) {
    if (text === undefined || text === null) return ''; // ctx.Status: no body at all
    const body = { message: status === 500 ? '' : text, url: `${root}/api/swagger`, ...extra };
    return status === 404 ? { errors: [], ...body } : body;
}

// A form's fields into the wanted types; JSON in a form body is one field with a strange name.
function fromForm(text, fields) {
    const form = {};
    for (const [key, value] of new URLSearchParams(text)) {
        const kind = (fields[key] ?? '').replace('!', '');
        if (kind === 'string') form[key] = value;
        else if (kind === 'int') form[key] = Number(value) || 0;
        else if (kind === 'bool') form[key] = value === 'true' || value === 'on';
    }
    return form;
}

const KINDS = {
    string: (v) => typeof v === 'string',
    int: (v) => Number.isInteger(v),
    bool: (v) => typeof v === 'boolean',
    object: (v) => typeof v === 'object' && !Array.isArray(v),
    strings: (v) => Array.isArray(v) && v.every((w) => typeof w === 'string'),
    ints: (v) => Array.isArray(v) && v.every(Number.isInteger),
    list: Array.isArray,
    texts: (v) => typeof v === 'object' && !Array.isArray(v) && Object.values(v).every((w) => typeof w === 'string'),
};

// fields: { name: kind }, a "!" behind the kind says required. Unknown members are ignored, null is as good as absent.
export function bind(method, type, text, fields) {
    let form;
    if (method === 'POST' || method === 'PUT' || type) {
        if (type.includes('form-urlencoded')) form = fromForm(text, fields);
        else if (type.includes('json')) {
            try { form = JSON.parse(text); } catch { throw new Refusal(422, text ? 'invalid character in JSON' : 'EOF'); }
            if (form === null || typeof form !== 'object' || Array.isArray(form)) throw new Refusal(422, 'json: cannot unmarshal into Go value');
            for (const [key, kind] of Object.entries(fields)) {
                if (form[key] === null) delete form[key];
                if (form[key] !== undefined && !KINDS[kind.replace('!', '')](form[key])) {
                    throw new Refusal(422, `json: cannot unmarshal ${typeof form[key]} into Go struct field .${key}`);
                }
            }
        } else throw new Refusal(422, type ? 'Unsupported Content-Type' : 'Empty Content-Type');
    } else form = fromForm(text, fields);
    for (const [key, kind] of Object.entries(fields)) {
        if (kind.endsWith('!') && (form[key] === undefined || form[key] === '')) throw new Refusal(422, `[${key[0].toUpperCase()}${key.slice(1)}]: Required`);
    }
    return form;
}

export function timeOf(query, name) {
    const text = query.get(name);
    if (!text) return null;
    if (!/^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(text) || Number.isNaN(Date.parse(text))) {
        throw new Refusal(422, `parsing time "${text}" as "2006-01-02T15:04:05Z07:00": cannot parse`);
    }
    return Math.floor(Date.parse(text) / 1000) * 1000;
}

// A page of a list. link: whether this handler sets the header; loose: everything when no page is asked for.
export function page(list, { query, path, root, link = false, loose = false }) {
    const asked = Number(query.get('limit')) || 0, number = Math.max(0, Number(query.get('page')) || 0);
    if (loose && number === 0) return { items: list, headers: { 'X-Total-Count': String(list.length) } };
    const limit = asked <= 0 ? DEFAULT_LIMIT : Math.min(asked, MAX_LIMIT), at = Math.max(1, number);
    const headers = { 'X-Total-Count': String(list.length) };
    if (link) {
        const last = Math.max(1, Math.ceil(list.length / limit)), words = [];
        const to = (n, rel) => {
            const q = new URLSearchParams(query);
            q.set('page', String(n));
            words.push(`<${root}${path}?${q}>; rel="${rel}"`);
        };
        if (at < last) { to(at + 1, 'next'); to(last, 'last'); }
        if (at > 1) { to(1, 'first'); to(at - 1, 'prev'); }
        if (words.length) headers.Link = words.join(',');
    }
    return { items: list.slice((at - 1) * limit, at * limit), headers };
}
