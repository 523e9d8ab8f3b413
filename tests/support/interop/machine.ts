/**
 * A machine for a kubelet and kubeadm. It has its own root folder, processes and service manager, and shares the kernel and
 * the network of the host. It runs the host's programs, mounted read-only.
 */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import process from "node:process";
import { cacheDir } from "../../../scripts/processes.ts";
import { start } from "../child.ts";
import { peerPath } from "../peers/go.ts";

/** The kernel settings that a kubelet sets when it starts (pkg/kubelet/cm, kernel tunables). */
const KERNEL_SETTINGS: readonly string[] = [
  "vm/overcommit_memory",
  "vm/panic_on_oom",
  "kernel/panic",
  "kernel/panic_on_oops",
  "kernel/keys/root_maxkeys",
  "kernel/keys/root_maxbytes",
].map((name) => `/proc/sys/${name}`);

/** A running machine. Disposing it ends everything that runs on it. */
export interface Machine extends AsyncDisposable {
  /** The path of its root folder on the host. */
  readonly root: string;
  /** The socket of its container runtime, with the same path on the host. */
  readonly runtimeSocket: string;
  /** The path of a program called `machine` that runs its arguments as a command on the machine. */
  readonly enter: string;
}

/**
 * Turns a folder into the machine, in its own namespaces. It mounts the host's programs read-only, and a file over each
 * kernel setting that a kubelet changes globally. It prints its process id after chroot, because nsenter enters the root
 * of that process. An interrupted test runner signals its process group, which unshare and a first process without a trap
 * ignore.
 */
const SETUP = `
set -eu
root=$1 shared=$2 programs=$3
shift 3
read -r pid _ < /proc/self/stat
mount --bind "$root" "$root"
for path in /bin /sbin /lib /lib32 /lib64 /usr; do
  if [ -L "$path" ]; then
    cp -P "$path" "$root$path"
  elif [ -d "$path" ]; then
    mkdir "$root$path"
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
  fi
done
for path in /dev /sys; do
  mkdir "$root$path"
  mount --rbind "$path" "$root$path"
done
mkdir "$root/proc"
mount -t proc proc "$root/proc"
for path in "$@"; do
  file=$(mktemp "$root/opt/settings/XXXXXX")
  cat "$path" > "$file"
  mount --bind "$file" "$root$path"
done
for path in "$shared" "$programs"; do
  mkdir -p "$root$path"
  mount --bind "$path" "$root$path"
done
exec chroot "$root" sh -c 'trap exit INT TERM; echo "machine $1"; sleep infinity & wait' sh "$pid"
`;

/** A systemctl with what kubeadm needs for the kubelet's service, set up as in Kubernetes' package (10-kubeadm.conf). */
const SYSTEMCTL = `#!/bin/sh
pid=/run/kubelet.pid
stop() {
  [ -e $pid ] || return 0
  kill "$(cat $pid)"
  rm $pid
}
case "$*" in
"start kubelet" | "restart kubelet")
  stop
  . /var/lib/kubelet/kubeadm-flags.env
  nohup kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\
    --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS \\
    < /dev/null > /var/log/kubelet.log 2>&1 &
  echo $! > $pid
  ;;
"stop kubelet") stop ;;
"is-enabled kubelet" | "is-active kubelet") echo active ;;
"is-active "*) echo inactive; exit 3 ;;
esac
`;

/** Starts a machine in a folder that it shares with the host. Needs root. */
export async function startMachine(shared: string, name: string, kubeletRelease?: string): Promise<Machine> {
  const folder = `${shared}/${name}`;
  const root = `${folder}/root`;
  for (const path of ["etc/kubernetes/manifests", "opt/bin", "opt/settings", "run", "tmp", "var/lib", "var/log"]) {
    await mkdir(`${root}/${path}`, { recursive: true });
  }
  // The machine resolves its own name without a name server.
  await writeFile(`${root}/etc/hosts`, `127.0.0.1 localhost ${name}\n`);
  await writeFile(`${root}/etc/resolv.conf`, "");
  await writeFile(`${root}/etc/passwd`, "root:x:0:0:root:/:/bin/sh\n");
  await writeFile(`${root}/etc/group`, "root:x:0:\n");
  await writeFile(`${root}/etc/machine-id`, `${randomBytes(16).toString("hex")}\n`);
  await writeFile(`${root}/opt/bin/systemctl`, SYSTEMCTL, { mode: 0o755 });
  const programs = {
    kubeadm: peerPath("kubeadm"),
    kubectl: peerPath("kubectl"),
    kubelet: peerPath("kubelet", kubeletRelease),
  };
  for (const [program, path] of Object.entries(programs)) {
    await writeFile(`${root}/opt/bin/${program}`, `#!/bin/sh\nexec '${path}' "$@"\n`, { mode: 0o755 });
  }
  await using stack = new AsyncDisposableStack();
  const { socket } = stack.use(await startContainerRuntime(folder));
  const running = stack.use(start("unshare", [
    ...["--mount", "--pid", "--fork", "--kill-child"],
    ...["sh", "-c", SETUP, "sh", root, shared, cacheDir(), ...KERNEL_SETTINGS],
  ]));
  const [, pid = ""] = await running.waitFor(/^machine (\d+)$/m);
  // All processes of the machine end with its first one, and unshare ends after them.
  stack.defer(async () => {
    process.kill(Number(pid), "SIGKILL");
    await running.finished();
  });
  const enter = `${folder}/bin/machine`;
  await mkdir(dirname(enter));
  const path = "/opt/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  await writeFile(
    enter,
    `#!/bin/sh\nexec nsenter --target ${pid} --mount --pid --root --wd -- env PATH=${path} "$@"\n`,
    { mode: 0o755 },
  );
  const owned = stack.move();
  return { root, runtimeSocket: socket, enter, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface ContainerRuntime extends AsyncDisposable {
  readonly socket: string;
}

/**
 * Starts a container runtime that answers a kubelet but runs nothing. The path of a socket has at most 107 bytes, so the
 * path of the folder must be short.
 */
async function startContainerRuntime(folder: string): Promise<ContainerRuntime> {
  const socket = `${folder}/cri.sock`;
  await using stack = new AsyncDisposableStack();
  const running = stack.use(start(peerPath("criserver"), ["-socket", socket]));
  await running.waitFor(/^listening$/m);
  const owned = stack.move();
  return { socket, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
