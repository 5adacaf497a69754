#!/usr/bin/env node
// A scripted model for the real agent CLIs: offline, free, always the same. It speaks as much as they need of
// OpenAI's Responses API (POST /v1/responses: Codex), Anthropic's Messages API (POST /v1/messages: Claude Code) and
// OpenAI's Chat Completions API (POST /v1/chat/completions: OpenCode), each answered by server-sent events.
//
//   node deploy/scripted-model.mjs PORT        listens on 127.0.0.1 only; PORT 0 takes a free one
//
// It keeps no state: the tool results that follow the last prompt say which turn it is. Each turn runs one shell command
// through the CLI; the first edits FIXED.txt and commits it where the directory is a repository, the others say ten
// numbered lines a second ("line 1", "line 2", ...); then it closes with a message. A line of the task's text changes
// that:
//
//   demo: seconds=N     says lines for N seconds (default 1)
//   demo: nothing       edits nothing                          demo: leave    edits, and does not commit
//   demo: ask           asks a question in .fleet-question     demo: refuse   declines the task
//   demo: exit=N        refuses the last turn (status 400)     demo: hang     never answers the last turn
//   demo: silence       never answers at all                   demo: context  the prompt is too long
//   demo: auth          401                                    demo: limit    429, as for an API key
//   demo: down          500                                    demo: busy     overloaded
//   demo: quota=N       the subscription's limit, which ends in N seconds (default 1800)
//   demo: warned        succeeds, with the limits' state in the headers
import { createServer } from 'node:http';

const MAX_BODY = 64 * 1024 * 1024;
const MODEL = 'demo-1';
const WISH = /^[^A-Za-z\n]*demo: *([a-z]+)(?:=(\d{1,7}))? *\r?$/gm;
const REFUSALS = ['auth', 'limit', 'down', 'busy', 'context', 'quota'];

/* -- What is said in which turn ---------------------------------------------------------------- */

/** The task's text: what stands between the two lines of the fence, where there are any. */
function dataOf(prompt) {
    const data = [...prompt.matchAll(/^(data-[0-9a-f]{32})\n([\s\S]*?)\n\1$/gm)].map((match) => match[2]);
    return data.length > 0 ? data.join('\n') : prompt;
}

function wishesOf(prompt) {
    const wishes = {};
    for (const [, word, value] of dataOf(prompt).matchAll(WISH)) wishes[word] = Number(value ?? 1);
    return { seconds: 1, ...wishes };
}

function editing(wishes) {
    if (wishes.nothing !== undefined || wishes.refuse !== undefined) return 'ls';
    const edit = 'echo "written by a scripted model" >>FIXED.txt && ls FIXED.txt';
    const commit =
        'git add FIXED.txt && git -c user.name="Scripted model" -c user.email=model@localhost commit -qm "Fix it, as the script says"';
    const question = 'echo "Which colour shall it have?" >.fleet-question';
    if (wishes.ask !== undefined) return question;
    // A directory that is no repository may lie inside somebody else's.
    return wishes.leave !== undefined ? edit : `${edit} && if [ -e .git ]; then ${commit}; fi`;
}

function counting(turn) {
    const [first, last] = [turn * 10 - 9, turn * 10];
    return `i=${first}; while [ $i -le ${last} ]; do echo "line $i"; i=$((i + 1)); sleep 0.1; done`;
}

/** The next step of a conversation: one of { command }, { text }, { refusal, value } or { silence }. */
function nextStep({ prompt, turn, helper }) {
    const wishes = wishesOf(prompt);
    const refusal = REFUSALS.find((word) => wishes[word] !== undefined);
    if (refusal !== undefined) return { refusal, value: wishes[refusal] };
    if (wishes.silence !== undefined) return { silence: true };
    if (helper) return { text: 'A scripted task' };
    if (turn === 0) return { command: editing(wishes), warned: wishes.warned !== undefined };
    if (turn <= wishes.seconds) return { command: counting(turn) };
    if (wishes.hang !== undefined) return { silence: true };
    if (wishes.exit !== undefined) return { refusal: 'exit', value: wishes.exit };
    if (wishes.refuse !== undefined) return { text: 'I cannot help with that.' };
    return { text: `Done by a scripted model: ${wishes.seconds * 10} lines said.` };
}

/* -- Refusals: status, headers, and the provider's body ----------------------------------------- */

const WORDS = {
    exit: (value) => [400, 'invalid_request_error', `the issue asked for exit status ${value}`],
    auth: () => [401, 'authentication_error', 'invalid api key'],
    limit: () => [429, 'rate_limit_error', 'rate limit reached, try again later'],
    quota: () => [429, 'usage_limit_reached', 'The usage limit has been reached'],
    down: () => [500, 'api_error', 'internal server error'],
    busy: () => [529, 'overloaded_error', 'Overloaded'],
    context: () => [400, 'invalid_request_error', 'prompt is too long: context length exceeded'],
};

function secondsFromNow(value) {
    return Math.floor(Date.now() / 1000) + (value > 1 ? value : 1800);
}

/** What Anthropic says of a subscription's windows in the headers of every answer. */
function windowsOf(status, resetsAt, utilization) {
    const unified = 'anthropic-ratelimit-unified';
    return {
        [`${unified}-status`]: status,
        [`${unified}-reset`]: String(resetsAt),
        [`${unified}-representative-claim`]: 'five_hour',
        [`${unified}-5h-status`]: status,
        [`${unified}-5h-reset`]: String(resetsAt),
        [`${unified}-5h-utilization`]: String(utilization),
        [`${unified}-7d-status`]: 'allowed',
        [`${unified}-7d-reset`]: String(resetsAt + 86400),
        [`${unified}-7d-utilization`]: '0.2',
        [`${unified}-overage-status`]: 'rejected',
        [`${unified}-overage-disabled-reason`]: 'org_level_disabled',
    };
}

/* -- The three APIs: read() tells the conversation, write() sends a step, refuse() gives an error -- */

function list(value) {
    return Array.isArray(value) ? value : [];
}

/** A message's content as a list of parts. */
function partsOf(item) {
    return typeof item.content === 'string' ? [{ type: 'text', text: item.content }] : list(item.content);
}

/** The last user messages in a row are the prompt; results after them are its turns. */
function conversationOf(items, isPrompt, results) {
    const last = items.findLastIndex(isPrompt);
    let first = last;
    while (first > 0 && isPrompt(items[first - 1])) first--;
    const texts = items.slice(Math.max(first, 0), last + 1).flatMap((item) => partsOf(item).map((part) => part.text ?? ''));
    return { prompt: texts.join('\n'), turn: items.slice(last + 1).reduce((sum, item) => sum + results(item), 0) };
}

function stream(response, headers = {}) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', ...headers });
}

function sendEvent(response, type, members) {
    response.write(`event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`);
}

const responses = {
    read(request) {
        const items = list(request.input);
        const isPrompt = (item) => item.role === 'user' && (item.type ?? 'message') === 'message';
        return conversationOf(items, isPrompt, (item) => Number(/^(custom_tool|function|local_shell)_call_output$/.test(item.type)));
    },

    /** The call of whichever shell tool this version of Codex offers. */
    call(request, turn, script) {
        const names = list(request.tools).map((tool) => tool.name ?? tool.type);
        const forms = {
            exec_command: { cmd: script, yield_time_ms: 10000 },
            shell_command: { command: script, timeout_ms: 10000 },
            shell: { command: ['sh', '-c', script], timeout_ms: 10000 },
        };
        const name = Object.keys(forms).find((form) => names.includes(form)) ?? 'shell';
        const unique = `${turn}_${Date.now().toString(36)}`;
        return { type: 'function_call', id: `fc_${unique}`, call_id: `call_${unique}`, name, arguments: JSON.stringify(forms[name]) };
    },

    write(request, response, step, turn) {
        const id = `resp_${Date.now().toString(36)}`;
        stream(response);
        sendEvent(response, 'response.created', { response: { id, model: MODEL, status: 'in_progress', output: [] } });
        if (step.silence) return;
        const content = [{ type: 'output_text', text: step.text, annotations: [] }];
        const item =
            step.command !== undefined
                ? this.call(request, turn, step.command)
                : { type: 'message', id: `msg_${id}`, role: 'assistant', content };
        sendEvent(response, 'response.output_item.added', { output_index: 0, item });
        sendEvent(response, 'response.output_item.done', { output_index: 0, item });
        const usage = {
            input_tokens: 1200,
            input_tokens_details: { cached_tokens: 800 },
            output_tokens: 45,
            output_tokens_details: { reasoning_tokens: 5 },
            total_tokens: 1245,
        };
        sendEvent(response, 'response.completed', { response: { id, model: MODEL, status: 'completed', output: [item], usage } });
        response.end();
    },

    refuse({ refusal, value }) {
        const [status, type, message] = WORDS[refusal](value);
        if (refusal === 'quota') {
            const resetsAt = secondsFromNow(value);
            const resets = { plan_type: 'plus', resets_at: resetsAt, resets_in_seconds: resetsAt - Math.floor(Date.now() / 1000) };
            return { status, body: { error: { type, message, ...resets } } };
        }
        if (refusal === 'busy') return { status: 503, body: { error: { type: 'server_error', code: 'server_is_overloaded', message } } };
        const code = refusal === 'context' ? { code: 'context_length_exceeded' } : {};
        return { status, body: { error: { type, message, ...code } } };
    },
};

const messages = {
    read(request) {
        const results = (item) => partsOf(item).filter((part) => part.type === 'tool_result').length;
        const isPrompt = (item) => item.role === 'user' && results(item) === 0;
        const helper = !list(request.tools).some((tool) => tool.name === 'Bash');
        return { ...conversationOf(list(request.messages), isPrompt, results), helper };
    },

    write(request, response, step, turn) {
        const id = `msg_${turn}_${Date.now().toString(36)}`;
        stream(response, step.warned ? windowsOf('allowed_warning', secondsFromNow(1800), 0.92) : {});
        const usage = { input_tokens: 900, cache_creation_input_tokens: 0, cache_read_input_tokens: 300, output_tokens: 1 };
        const message = { id, type: 'message', role: 'assistant', model: request.model, content: [], stop_reason: null, stop_sequence: null };
        sendEvent(response, 'message_start', { message: { ...message, usage } });
        if (step.silence) return;
        const call = step.command !== undefined;
        const input = JSON.stringify({ command: step.command, description: 'as the script says' });
        const block = call ? { type: 'tool_use', id: `toolu_${id}`, name: 'Bash', input: {} } : { type: 'text', text: '' };
        const delta = call ? { type: 'input_json_delta', partial_json: input } : { type: 'text_delta', text: step.text };
        sendEvent(response, 'content_block_start', { index: 0, content_block: block });
        sendEvent(response, 'content_block_delta', { index: 0, delta });
        sendEvent(response, 'content_block_stop', { index: 0 });
        const stop_reason = call ? 'tool_use' : 'end_turn';
        sendEvent(response, 'message_delta', { delta: { stop_reason, stop_sequence: null }, usage: { ...usage, output_tokens: 30 } });
        sendEvent(response, 'message_stop', {});
        response.end();
    },

    refuse({ refusal, value }) {
        const [status, type, message] = WORDS[refusal](value);
        const body = { type: 'error', error: { type, message } };
        if (refusal === 'quota') {
            body.error.type = 'rate_limit_error';
            return { status, headers: windowsOf('rejected', secondsFromNow(value), 1), body };
        }
        return { status, headers: refusal === 'limit' ? { 'retry-after': '1' } : {}, body };
    },
};

const completions = {
    read(request) {
        const isPrompt = (item) => item.role === 'user';
        const helper = !list(request.tools).some((tool) => tool.function?.name === 'bash');
        return { ...conversationOf(list(request.messages), isPrompt, (item) => Number(item.role === 'tool')), helper };
    },

    write(request, response, step, turn) {
        const id = `chatcmpl-${turn}-${Date.now().toString(36)}`;
        const send = (delta, finish_reason, rest) => {
            const chunk = { id, object: 'chat.completion.chunk', created: 0, model: MODEL, choices: [{ index: 0, delta, finish_reason }], ...rest };
            response.write(`data: ${JSON.stringify(chunk)}\n\n`);
        };
        stream(response);
        if (step.silence) {
            response.flushHeaders();
            return;
        }
        const input = JSON.stringify({ command: step.command, description: 'as the script says' });
        const call = { index: 0, id: `call_${id}`, type: 'function', function: { name: 'bash', arguments: input } };
        send(step.command !== undefined ? { role: 'assistant', tool_calls: [call] } : { role: 'assistant', content: step.text }, null);
        const usage = { prompt_tokens: 1000, completion_tokens: 20, total_tokens: 1020, prompt_tokens_details: { cached_tokens: 100 } };
        send({}, step.command !== undefined ? 'tool_calls' : 'stop', { usage });
        response.end('data: [DONE]\n\n');
    },

    refuse({ refusal, value }) {
        const { body, status } = responses.refuse({ refusal, value });
        return { status, headers: refusal === 'limit' ? { 'retry-after': '1' } : {}, body };
    },
};

const APIS = { '/v1/responses': responses, '/v1/messages': messages, '/v1/chat/completions': completions };

/* -- The server -------------------------------------------------------------------------------- */

function sendJson(response, status, body, headers = {}) {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
}

function answer(api, request, response) {
    const conversation = api.read(request);
    const step = nextStep(conversation);
    if (step.refusal === undefined) {
        api.write(request, response, step, conversation.turn);
        return;
    }
    const { status, headers, body } = api.refuse(step);
    sendJson(response, status, body, headers);
}

const server = createServer((request, response) => {
    const path = request.url.split('?')[0];
    const api = request.method === 'POST' && Object.hasOwn(APIS, path) ? APIS[path] : undefined;
    if (api === undefined) {
        if (request.method === 'GET' && path === '/healthz') response.end('ok\n');
        else sendJson(response, 404, { error: { message: `not scripted: ${request.method} ${path}` } });
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
            answer(api, JSON.parse(Buffer.concat(chunks).toString('utf8')), response);
        } catch (error) {
            sendJson(response, 400, { error: { message: error.message } });
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
