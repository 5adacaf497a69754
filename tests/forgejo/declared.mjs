// Compares values with types as a generated declaration file (.d.ts) writes them: one `type Name = ...;` after another, of
// members on lines of their own, arrays, literals, and records.
import { readFileSync } from 'node:fs';

export class Declared {
    constructor(file) {
        const text = readFileSync(file, 'utf8').replace(/\/\*[^]*?\*\//g, '');
        this.types = new Map();
        for (const [, name, body] of text.matchAll(/^type (\w+) = ([^]*?);$(?=\n(?:type|declare|interface|export|$))/gm)) this.types.set(name, body.trim());
    }

    // The members of `{ a?: T; b: U; }`: [name, optional, type].
    members(body) {
        const found = [], text = body.slice(1, -1);
        let depth = 0, from = 0;
        for (let i = 0; i < text.length; i++) {
            if ('{<(['.includes(text[i])) depth += 1;
            else if ('}>)]'.includes(text[i])) depth -= 1;
            else if (text[i] === ';' && depth === 0) {
                const [, name, mark, type] = /^\s*(\[key: string\]|'[^']*'|[\w$]+)(\??):\s*([^]*)$/.exec(text.slice(from, i)) ?? [];
                if (name) found.push([name.replace(/'/g, ''), mark === '?', type.trim()]);
                from = i + 1;
            }
        }
        return found;
    }

    // What a value of that type must not be: a list of sentences. Go's pointers are null; every member is written.
    offences(value, type, at, rarely = []) {
        if (value === null || type === 'unknown') return [];
        const kind = Array.isArray(value) ? 'array' : typeof value, array = /^Array<([^]*)>$/.exec(type);
        if (array) return kind === 'array' ? value.flatMap((v, i) => this.offences(v, array[1], `${at}[${i}]`, rarely)) : [`${at} is no array`];
        if (['string', 'number', 'boolean'].includes(type)) return kind === type ? [] : [`${at} is ${kind}, not ${type}`];
        if (type.startsWith('{')) return kind === 'object' ? this.object(value, type, at, rarely) : [`${at} is ${kind}, not an object`];
        if (/^'/.test(type)) return type.split('|').map((t) => t.trim().slice(1, -1)).includes(value) ? [] : [`${at} is ${value}, none of ${type}`];
        if (this.types.has(type)) return this.offences(value, this.types.get(type), at, rarely);
        return [`${at}: no type ${type}`];
    }

    object(value, type, at, rarely) {
        const members = new Map(this.members(type).map(([name, optional, t]) => [name, t])), record = members.get('[key: string]');
        if (record) return Object.entries(value).flatMap(([key, v]) => this.offences(v, record, `${at}.${key}`, rarely));
        const strange = Object.keys(value).filter((key) => !members.has(key) && !rarely.includes(key)).map((key) => `${at}.${key} is not in the type`);
        const missing = [...members.keys()].filter((key) => !(key in value) && !rarely.includes(key)).map((key) => `${at}.${key} is missing`);
        return [...strange, ...missing, ...Object.entries(value).flatMap(([key, v]) => (members.has(key) ? this.offences(v, members.get(key), `${at}.${key}`, rarely) : []))];
    }

    // The type of an operation's answer, e.g. issueGetIssue 200; null: the description has no such answer, undefined: no body.
    answerOf(operation, status) {
        const body = this.types.get(`${operation[0].toUpperCase()}${operation.slice(1)}Responses`);
        const member = body && this.members(body).find(([name]) => name === String(status));
        return member ? member[2] : null;
    }
}
