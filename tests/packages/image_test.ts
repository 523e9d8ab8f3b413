/**
 * The container image: built twice, loaded by podman, inspected, and run by an unprivileged user on a read-only root
 * file system. The last tests run the commands of the guide for containers.
 */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { TLSBOOT_VERSION } from "../../core/version.ts";
import { runQuietly } from "../../scripts/processes.ts";
import { type Finished, ROOT, type Running, runProgram, start, succeedProgram } from "../support/child.ts";
import { readGuide } from "../support/guide.ts";
import { untilLine } from "../support/packages/other_root.ts";
import { createSbomChecker } from "../support/packages/sbom_checker.ts";
import { ensureDebianPackages } from "../support/peers/debian.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../support/temp.ts";

/** Settings that also work inside a container: runc accepts its control groups, and these limits need no privileges. */
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

/** A podman with its own storage. Disposing it stops its containers and removes its images. */
interface Podman extends AsyncDisposable {
  /** The folder in which scripts run. */
  readonly work: string;
  /** Runs shell lines in which `podman` is this one. */
  run(script: string): Promise<Finished>;
  /** Starts podman with some arguments. */
  start(args: readonly string[]): Running;
}

/** Prepares a podman in an empty folder. Needs root. */
async function createPodman(folder: string): Promise<Podman> {
  const [work, bin, runRoot, volumes] = ["work", "bin", "run", "volumes"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  for (const path of [work, bin, runRoot, volumes]) await mkdir(path, { recursive: true });
  await writeFile(join(folder, "containers.conf"), `${CONTAINERS_CONF}volume_path = "${volumes}"\n`);
  const options = ["--root", join(folder, "images"), "--runroot", runRoot, "--storage-driver", "vfs"];
  await writeFile(join(bin, "podman"), `#!/bin/sh\nexec /usr/bin/podman ${options.join(" ")} "$@"\n`, { mode: 0o755 });
  const env = { CONTAINERS_CONF: join(folder, "containers.conf"), PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin` };
  const run = (script: string) => runProgram("bash", ["-c", script], { cwd: work, env });
  return {
    work,
    run,
    start: (args) => start(join(bin, "podman"), args, { cwd: work, env }),
    async [Symbol.asyncDispose]() {
      await run("podman rm --all --force --time 5; podman volume rm --all --force; podman rmi --all --force");
    },
  };
}

const IMAGE = `localhost/tlsboot:${TLSBOOT_VERSION}`;
const STEM = `tlsboot-${TLSBOOT_VERSION}-image`;
const ARCHITECTURE = process.arch === "arm64" ? "arm64" : "amd64";
const SBOMS = ["amd64", "arm64"].map((architecture) => `${STEM}-${architecture}.cdx.json`);
const ARCHIVE = `${STEM}.oci.tar`;
/** The flags for a container without capabilities that can write only to volumes. */
const CONFINED = "--network host --read-only --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges";

let folder: TempFolder;
let podman: Podman;

async function copyPrograms(name: string, targets: readonly string[]): Promise<void> {
  await mkdir(folder.join(name));
  for (const target of targets) {
    const file = `tlsboot-${TLSBOOT_VERSION}-${target}`;
    await copyFile(join(ROOT, "dist", file), folder.join(name, file));
  }
}

/** Builds images from the files that `deno task build --target all` made. */
async function makeImages(name: string, args: readonly string[] = []): Promise<void> {
  const script = ["run", "-A", "scripts/package/image.ts", "--dist", folder.join(name), ...args];
  await runQuietly(process.execPath, script);
}

/** Runs shell lines with podman and returns their stdout. Fails the test if a line fails. */
async function succeed(script: string): Promise<string> {
  const { code, stdout, stderr } = await podman.run(`set -e\n${script}`);
  assert.equal(code, 0, `${script}\n--- stdout\n${stdout}\n--- stderr\n${stderr}`);
  return stdout;
}

describe("the container image", () => {
  before(async () => {
    folder = await createTempFolder();
    await ensureDebianPackages(["podman", "runc", "docker-compose", "qemu-user-static"]);
    await copyPrograms("first", ["linux-x64", "linux-arm64"]);
    await makeImages("first");
    podman = await createPodman(folder.join("podman"));
    await copyFile(folder.join("first", ARCHIVE), join(podman.work, ARCHIVE));
    await succeed(`podman load --input ${ARCHIVE}`);
  });
  after(async () => {
    await podman?.[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test("the same file and packages give the same image byte for byte", async () => {
    await copyPrograms("second", ["linux-x64"]);
    await makeImages("second", ["--base", folder.join("first", "image-base")]);
    for (const name of [`${STEM}-amd64.docker.tar`, `${STEM}-amd64.cdx.json`]) {
      const [first, second] = [await readFile(folder.join("first", name)), await readFile(folder.join("second", name))];
      assert.ok(first.equals(second), name);
    }
  });

  test("podman loads the same image from both kinds of archives, for both processors", async () => {
    const inspect = "podman inspect --format '{{.Id}} {{.Architecture}} {{.Os}}'";
    const loaded = await succeed(`${inspect} ${IMAGE}`);
    assert.match(loaded, new RegExp(`^[0-9a-f]{64} ${ARCHITECTURE} linux$`, "m"));
    for (const architecture of ["amd64", "arm64"]) {
      // podman loads an archive for a single processor on any machine.
      const ids = await succeed(`
      podman load --quiet --input ${folder.join("first", `${STEM}-${architecture}.docker.tar`)} >&2
      ${inspect} ${IMAGE}
      podman pull --quiet --arch ${architecture} oci-archive:${folder.join("first", ARCHIVE)} >&2
      ${inspect} ${IMAGE}`);
      const [docker, oci] = ids.trim().split("\n");
      assert.equal(docker, oci);
      assert.equal(docker === loaded.trim(), architecture === ARCHITECTURE);
    }
    await succeed(`podman load --quiet --input ${ARCHIVE}`);
  });

  test("the image has a user and an entry point, and labels for its version and commit", async () => {
    const [{ Config: config }] = JSON.parse(await succeed(`podman inspect ${IMAGE}`));
    assert.deepEqual(
      { user: config.User, entrypoint: config.Entrypoint, command: config.Cmd },
      { user: "65532:65532", entrypoint: ["/usr/bin/tlsboot"], command: undefined },
    );
    const { stdout: commit } = await runProgram("git", ["rev-parse", "HEAD"]);
    assert.equal(config.Labels["org.opencontainers.image.version"], TLSBOOT_VERSION);
    assert.ok(config.Labels["org.opencontainers.image.revision"].startsWith(commit.trim()));
  });

  test("the image has one program, no setuid file, the public CAs, and Debian's list of its packages", async () => {
    await succeed(
      `podman create --name files ${IMAGE}; podman export files | tar -x --one-top-level=files; podman rm files`,
    );
    const root = join(podman.work, "files");
    // Libraries may be executable: the loader is a program, and libc prints its version.
    const programs = await succeed(
      "find files -type f -perm /111 ! -name 'ld-linux*' ! -name 'libc.so.6' -printf '/%P\\n'",
    );
    assert.equal(programs, "/usr/bin/tlsboot\n");
    assert.equal(await succeed("find files -perm /6000"), "");
    // A new volume has the same owner.
    assert.equal(await succeed("stat -c '%u %g %a' files/data"), "65532 65532 700\n");
    const bundle = await readFile(join(root, "etc", "ssl", "certs", "ca-certificates.crt"), "utf8");
    const certificates = bundle.match(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g) ?? [];
    assert.ok(certificates.length > 100, `${certificates.length} CAs`);
    for (const pem of certificates) assert.ok(new X509Certificate(pem).ca);
    assert.match(await readFile(join(root, "usr", "lib", "os-release"), "utf8"), /^VERSION_CODENAME=trixie$/m);
    assert.ok((await readFile(join(root, "usr", "share", "zoneinfo", "Europe", "Berlin"))).length > 0);
    assert.match(await readFile(join(root, "var", "lib", "dpkg", "status.d", "libc6"), "utf8"), /^Package: libc6$/m);
    for (const name of ["libc6", "libstdc++6", "tlsboot"]) {
      assert.ok((await readFile(join(root, "usr", "share", "doc", name, "copyright"))).length > 0, name);
    }
    assert.equal(
      await readFile(join(root, "usr", "share", "doc", "tlsboot", "tlsboot.cdx.json"), "utf8"),
      await readFile(folder.join("first", `${STEM}-${ARCHITECTURE}.cdx.json`), "utf8"),
    );
  });

  test("CycloneDX's schema accepts the bill of materials, which has the program and Debian's packages", async () => {
    const check = await createSbomChecker(folder.join("checker"));
    for (const name of SBOMS) {
      const text = await readFile(folder.join("first", name), "utf8");
      assert.equal(await check(text), "", name);
      const components: readonly { readonly name: string }[] = JSON.parse(text).components;
      for (const wanted of ["tlsboot", "hono", "node", "libc6", "tzdata"]) {
        assert.equal(components.filter(({ name }) => name === wanted).length, 1, wanted);
      }
    }
  });

  test("an unprivileged user starts a server, bootstraps a machine, and restarts the server with the same volume", async () => {
    const up = `podman run --detach --name server ${CONFINED} --volume server:/data ${IMAGE} up --secure-port ` +
      String(await findServerPort());
    const ready = untilLine("podman exec server tlsboot get csr");
    const first = await succeed(`
    ${up}
    ${ready}
    grep '^Uid:' "/proc/$(podman inspect --format '{{.State.Pid}}' server)/status"
    podman cp server:/data/bootstrap.kubeconfig .
    podman volume create machine
    podman run --rm ${CONFINED} --volume machine:/data ${IMAGE} version
    # A user would also copy the file from one container and mount it into the other.
    chmod 644 bootstrap.kubeconfig
    podman run --detach --name machine ${CONFINED} --volume machine:/data \
      --volume "$PWD/bootstrap.kubeconfig:/bootstrap.kubeconfig:ro" ${IMAGE} bootstrap --hostname-override m1 \
      --bootstrap-kubeconfig /bootstrap.kubeconfig --kubeconfig /data/kubeconfig --cert-dir /data/pki
    ${untilLine("podman exec server tlsboot get csr --pending | grep m1")}
    podman exec server tlsboot approve m1
    podman wait machine
    podman cp server:/data/pki/ca.crt first.crt`);
    assert.match(first, /^Uid:(?:\t65532){4}$/m);
    assert.match(first, /^0$/m);
    const second = await succeed(`
    # By default podman kills a server after ten seconds, and then the exit code is not 0.
    podman stop --time 120 server
    podman inspect --format 'ended with {{.State.ExitCode}}' server
    podman rm server machine
    ${up}
    ${ready}
    podman cp server:/data/pki/ca.crt second.crt && cmp first.crt second.crt
    podman run --rm ${CONFINED} --volume machine:/data ${IMAGE} inspect /data/kubeconfig
    podman rm --force server`);
    assert.match(second, /^ended with 0$/m);
    assert.match(second, /system:node:m1/);
  });

  test("the arm64 image creates a CA under an emulator", async () => {
    await succeed(`
    podman pull --quiet --arch arm64 oci-archive:${folder.join("first", ARCHIVE)}
    podman create --name arm64 --arch arm64 ${IMAGE}
    podman export arm64 | tar -x --one-top-level=arm64
    podman rm arm64
    podman load --quiet --input ${ARCHIVE}`);
    const root = join(podman.work, "arm64");
    const init = [join(root, "usr", "bin", "tlsboot"), "ca", "init", "--data-dir", folder.join("arm64-data")];
    await succeedProgram("qemu-aarch64-static", ["-L", root, ...init]);
    assert.ok(new X509Certificate(await readFile(folder.join("arm64-data", "pki", "ca.crt"))).ca);
  });

  test("containers: the guide's commands work", async () => {
    const { blocks } = await readGuide("containers");
    const port = await findServerPort();
    const script = blocks.join("\n")
      .replaceAll(/ up$/gm, ` up --secure-port ${port}`)
      // A person would repeat the command until the request is listed.
      .replace(
        /^(podman exec tlsboot tlsboot get csr) +#.*$/m,
        (_line, command) => untilLine(`${command} | grep pending`),
      );
    assert.equal(script.match(/--secure-port/g)?.length, 2);
    const stdout = await succeed(script);
    assert.match(stdout, /^0$/m);
    assert.match(stdout, /system:node:n1/);
  });

  test("containers: docker-compose starts the guide's file with podman behind Docker's API", async () => {
    const { files } = await readGuide("containers");
    const compose = (files.get("compose.yaml") ?? "").replace(
      "command: up",
      `command: up --secure-port ${await findServerPort()}`,
    );
    assert.match(compose, /secure-port/);
    await mkdir(join(podman.work, "compose"));
    await writeFile(join(podman.work, "compose", "compose.yaml"), compose);
    const socket = `unix://${join(podman.work, "podman.sock")}`;
    await using service = podman.start(["system", "service", "--time", "0", socket]);
    const stdout = await succeed(`
    ${untilLine("[ -S podman.sock ]")}
    cd compose
    export DOCKER_HOST=${socket}
    docker-compose up --detach
    ${untilLine("podman exec compose_tlsboot_1 tlsboot get csr")}
    podman inspect --format '{{.HostConfig.ReadonlyRootfs}} {{.Config.User}} {{.HostConfig.NetworkMode}}' compose_tlsboot_1
    docker-compose down`);
    assert.match(stdout, /^true 65532:65532 host$/m);
    assert.ok(!service.hasEnded());
  });
});
