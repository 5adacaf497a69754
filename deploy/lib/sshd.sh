# shellcheck shell=bash
# A private sshd on 127.0.0.1: own host key, one client key, key login of the current user only.
# Functions only; source it, with process.sh.
#
# DIR holds host_key, client_key (ed25519), authorized_keys, sshd_config and known_hosts.

# sshd_create DIR: makes the keys that are not there yet.
sshd_create() {
    local dir=$1 key
    (
        umask 077
        mkdir -p "$dir" || exit 1
        for key in host_key client_key; do
            [[ -f $dir/$key ]] || ssh-keygen -q -t ed25519 -N '' -C "agent-fleet $key" -f "$dir/$key" || exit 1
        done
        cp "$dir/client_key.pub" "$dir/authorized_keys"
    )
}

# sshd_pam: "yes" where sshd without PAM would refuse the account for a locked password ("!"), else
# "no" (PAM's session modules fail in many containers).
sshd_pam() {
    if ((EUID == 0)) && [[ $(getent shadow root | cut -d: -f2) == '!'* ]]; then
        echo yes
    else
        echo no
    fi
}

# sshd_configure DIR PORT [HOME]: writes sshd_config and known_hosts. With HOME, logins have that home
# instead of the account's, whose login files may do anything.
# StrictModes no: the keys may lie below a directory that others can write to, such as /tmp.
sshd_configure() {
    local dir=$1 port=$2 home=${3-} kind key _
    read -r kind key _ <"$dir/host_key.pub" || return 1
    cat >"$dir/sshd_config" <<END
Port $port
ListenAddress 127.0.0.1
HostKey "$dir/host_key"
AuthorizedKeysFile "${dir//%/%%}/authorized_keys"
PidFile none
StrictModes no
AllowUsers $(id -un)
PermitRootLogin prohibit-password
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM $(sshd_pam)
UseDNS no
PermitUserRC no
PermitUserEnvironment no
AllowAgentForwarding no
AllowTcpForwarding no
AllowStreamLocalForwarding no
X11Forwarding no
PermitTunnel no
PrintMotd no
${home:+SetEnv "HOME=$home"}
END
    echo "[127.0.0.1]:$port $kind $key" >"$dir/known_hosts"
}

# sshd_start RUN NAME LOG DIR PORT: starts it and waits until it listens.
sshd_start() {
    local run=$1 name=$2 log=$3 dir=$4 port=$5
    # sshd of root wants its (empty) chroot directory, which only ssh.service would make.
    ((EUID == 0)) && [[ ! -d /run/sshd ]] && { install -d -m 0755 /run/sshd || return 1; }
    process_start "$run" "$name" "$log" /usr/sbin/sshd -D -e -f "$dir/sshd_config" || return 1
    process_wait 10 sshd_settled "$run" "$name" "$port" && process_alive "$run" "$name"
}

sshd_settled() { ! process_alive "$1" "$2" || process_port_taken "$3"; }

# sshd_try DIR PORT [COMMAND]: true when the client key opens a session, and COMMAND succeeds there.
sshd_try() {
    # Relative names: ssh would take a blank in UserKnownHostsFile for the end of a name.
    (cd "$1" && ssh -F /dev/null -p "$2" -i client_key -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
        -o UserKnownHostsFile=known_hosts -o GlobalKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes \
        -o ConnectTimeout=10 "$(id -un)@127.0.0.1" "${3-true}" </dev/null)
}
