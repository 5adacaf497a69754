/* Commands around an agent, in its job script: each within its time, what it prints beside the
 * agent's output, and a stop for all of them. */
#include "worker/adapter/template.h"

static bool is_given(const struct config_list *hook)
{
    return hook != NULL && hook->count > 0;
}

static void add_call(struct script *script, const char *name, const struct config_list *hook)
{
    buf_addf(script->out, "fleet_hook %s", name);
    script_words(script, hook);
}

bool hook_any(const struct script *script)
{
    const struct adapter_hooks *hooks = &script->template->hooks;
    return script->values->repository &&
           (is_given(hooks->after_create) || is_given(hooks->before_run) ||
            is_given(hooks->after_run));
}

/* The shell outlives a signal to the group, so that what it started may end in its own way. */
void hook_before(struct script *script)
{
    const struct adapter_hooks *hooks = &script->template->hooks;
    buf_addf(script->out,
             "fleet_stopped=\n"
             "trap 'fleet_stopped=1' INT TERM HUP\n"
             "fleet_hook() {\n"
             "    fleet_name=$1\n"
             "    shift\n"
             "    \"$FLEET_RUNNER\" limit %d -- \"$@\" </dev/null >&2 && return\n"
             "    echo \"fleet: the hook $fleet_name failed with status $?\" >&2\n"
             "    return 1\n"
             "}\n",
             hooks->secs);
    if (is_given(hooks->after_create)) {
        buf_adds(script->out, "[ -z \"${FLEET_FRESH-}\" ] || ");
        add_call(script, "after_create", hooks->after_create);
        buf_adds(script->out, " || exit " HOOK_FAILED "\n");
    }
    if (is_given(hooks->before_run)) {
        add_call(script, "before_run", hooks->before_run);
        buf_adds(script->out, " || exit " HOOK_FAILED "\n");
    }
    buf_adds(script->out, "[ -z \"$fleet_stopped\" ] || exit " HOOK_FAILED "\n");
}

/* `agent` begins with exec. Who was killed is seen to be. */
void hook_around(struct script *script, const char *agent)
{
    const struct adapter_hooks *hooks = &script->template->hooks;
    if (!is_given(hooks->after_run)) {
        buf_addf(script->out, "trap - INT TERM HUP\n%s\n", agent);
        return;
    }
    buf_addf(script->out, "(%s)\nexport FLEET_STATUS=$?\n", agent);
    add_call(script, "after_run", hooks->after_run);
    buf_adds(script->out, "\n[ \"$FLEET_STATUS\" != 137 ] || kill -KILL $$\n"
                          "exit \"$FLEET_STATUS\"\n");
}
