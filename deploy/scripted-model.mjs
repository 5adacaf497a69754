#!/usr/bin/env node
// A scripted model for the real Codex CLI: offline, free, always the same. It speaks as much of
// OpenAI's Responses API (POST /v1/responses, answered by server-sent events) as `codex exec` needs.
//
//   node deploy/scripted-model.mjs PORT        listens on 127.0.0.1 only; PORT 0 takes a free one
//
// It keeps no state: the number of tool results in the request says which turn it is. Each turn runs
// one shell command through Codex; the first edits FIXED.txt, the others say ten numbered lines a
// second ("line 1", "line 2", ...); then it closes with a message. A line "demo: seconds=N" in the prompt
// makes it N seconds (default 1), "demo: exit=7" refuses the last turn (Codex ends with status 1),
// "demo: hang" never answers the last turn.
import { createServer } from 'node:http';

const MAX_BODY = 64 * 1024 * 1024;
const MODEL = 'demo-1';

/** All text that the user's messages hold. */
function promptOf(request) {
    const parts = [];
    for (const item of Array.isArray(request.input) ? request.input : []) {
        if (item.type !== undefined && item.type !== 'message') continue;
        if (item.role !== 'user') continue;
        for (const content of Array.isArray(item.content) ? item.content : []) {
            if (typeof content.text === 'string') parts.push(content.text);
        }
    }
    return parts.join('\n');
}

function wishesOf(prompt) {
    const wishes = { seconds: 1, exit: 0, hang: false };
    for (const [, word, value] of prompt.matchAll(/^[^A-Za-z\n]*demo: *(seconds|exit|hang)(?:=(\d{1,4}))? *\r?$/gm)) {
        if (word === 'hang') wishes.hang = true;
        else if (value !== undefined) wishes[word] = Number(value);
    }
    return wishes;
}

/** The call of whichever shell tool this version of Codex offers. */
function shellCall(request, turn, script) {
    const names = (Array.isArray(request.tools) ? request.tools : []).map((tool) => tool.name ?? tool.type);
    const forms = {
        exec_command: { cmd: script, yield_time_ms: 10000 },
        shell_command: { command: script, timeout_ms: 10000 },
        shell: { command: ['sh', '-c', script], timeout_ms: 10000 },
    };
    const name = Object.keys(forms).find((form) => names.includes(form)) ?? 'shell';
    return {
        type: 'function_call',
        id: `fc_${turn}`,
        call_id: `call_${turn}`,
        name,
        arguments: JSON.stringify(forms[name]),
    };
}

function message(turn, text) {
    return {
        type: 'message',
        id: `msg_${turn}`,
        role: 'assistant',
        content: [{ type: 'output_text', text, annotations: [] }],
    };
}

/** What the model says next: an output item, or null for silence, or an Error. */
function nextItem(request) {
    const wishes = wishesOf(promptOf(request));
    const results = (Array.isArray(request.input) ? request.input : []).filter(
        (item) => item.type === 'function_call_output',
    );
    const turn = results.length;
    if (turn === 0) return shellCall(request, turn, 'echo "written by a scripted model" >FIXED.txt && ls FIXED.txt');
    if (turn <= wishes.seconds) {
        const [first, last] = [turn * 10 - 9, turn * 10];
        return shellCall(request, turn, `i=${first}; while [ $i -le ${last} ]; do echo "line $i"; i=$((i + 1)); sleep 0.1; done`);
    }
    if (wishes.hang) return null;
    if (wishes.exit !== 0) return new Error(`the issue asked for exit status ${wishes.exit}`);
    return message(turn, `Done by a scripted model: FIXED.txt written, ${wishes.seconds * 10} lines said.`);
}

function answer(request, response) {
    const item = nextItem(request);
    if (item instanceof Error) {
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message: item.message, type: 'invalid_request_error' } }));
        return;
    }
    const id = `resp_${Date.now().toString(36)}`;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    const send = (type, members) => response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`);
    send('response.created', { response: { id, model: MODEL, status: 'in_progress', output: [] } });
    if (item === null) return;
    send('response.output_item.added', { output_index: 0, item });
    send('response.output_item.done', { output_index: 0, item });
    const usage = {
        input_tokens: 1200,
        input_tokens_details: { cached_tokens: 800 },
        output_tokens: 45,
        output_tokens_details: { reasoning_tokens: 5 },
        total_tokens: 1245,
    };
    send('response.completed', { response: { id, model: MODEL, status: 'completed', output: [item], usage } });
    response.end();
}

const server = createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (request.method === 'GET' && path === '/healthz') {
        response.end('ok\n');
        return;
    }
    if (request.method !== 'POST' || path !== '/v1/responses') {
        response.writeHead(404, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message: `not scripted: ${request.method} ${path}` } }));
        request.resume();
        return;
    }
    const chunks = [];
    let size = 0;
    request.on('data', (chunk) => {
        size += chunk.length;
        if (size > MAX_BODY) request.destroy();
        else chunks.push(chunk);
    });
    request.on('end', () => {
        try {
            answer(JSON.parse(Buffer.concat(chunks).toString('utf8')), response);
        } catch (error) {
            response.writeHead(400, { 'content-type': 'application/json' });
            response.end(JSON.stringify({ error: { message: error.message } }));
        }
    });
});

const port = Number(process.argv[2] ?? NaN);
if (!Number.isInteger(port) || port < 0 || port > 65535) {
    console.error('usage: scripted-model.mjs PORT');
    process.exit(2);
}
server.listen(port, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
process.on('SIGTERM', () => process.exit(0));
