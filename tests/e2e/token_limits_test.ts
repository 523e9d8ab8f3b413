/** Tests bootstrap tokens for single machines, join files and packs, from their creation to the refused copy. */
import assert from "node:assert/strict";
import { cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { decodeTarHeader, readTarFiles, TAR_BLOCK } from "../../core/lib/tar.ts";
import { type Finished, runTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { connectWith, createWorkplace, describeInstance, startInstance, whoIs } from "../support/instance_process.ts";
import { unwrap } from "../support/test_authority.ts";
import { formatInventory } from "../support/test_profiles.ts";

const signal = new AbortController().signal;
const INVENTORY = formatInventory("- name: n1", "- name: n2", "- name: n3");

const NO_PIN = `sha256:${"0".repeat(64)}`;

describeInstance("tokens for one machine each", {}, (instance) => {
  /** Runs a command that an operator runs on the server's host. */
  async function operate(...args: readonly string[]): Promise<Finished> {
    const server = args[1] === "create" ? ["--server", instance.url] : [];
    return await runTlsboot([...args, ...server, "--data-dir", "data"], { cwd: instance.folder.path });
  }

  /** Returns the flags for a machine's files, in a folder with its name. */
  const toFileFlags = (machine: string) => ["--kubeconfig", `${machine}/kubeconfig`, "--cert-dir", `${machine}/pki`];

  /** Bootstraps a machine with a join file, into a folder with its name. */
  async function join(machine: string, file: string, ...args: readonly string[]): Promise<Finished> {
    return await runTlsboot(["bootstrap", "--join", file, ...toFileFlags(machine), ...args], {
      cwd: instance.folder.path,
    });
  }

  /** Uses the certificate of a machine, and returns its user. */
  function useCertificate(machine: string): Promise<string> {
    return whoIs(instance.folder.join(machine, "kubeconfig"));
  }

  async function listTokens(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return JSON.parse((await operate("token", "list", "-o", "json")).stdout);
  }

  /** Waits for a token's record, which the server writes after its answer. */
  function untilRecorded(node: string, record: "lastUse" | "lastRefusal"): Promise<Readonly<Record<string, unknown>>> {
    return eventually(`${record} of the token for ${node}`, async () => {
      const token = (await listTokens()).find((listed) => listed["node"] === node);
      return token?.[record] === undefined ? undefined : token;
    });
  }

  test("three machines join with a file each, and a fourth with a copy is refused and reported", async () => {
    await writeFile(instance.folder.join("machines.yaml"), INVENTORY);
    const made = await operate(
      ...["token", "create", "--for-inventory", "machines.yaml", "--out", "join", "--approve", "--ttl", "1h"],
    );
    assert.equal(made.code, 0, made.stderr);
    assert.equal(made.stdout, "join/n1.kubeconfig\njoin/n2.kubeconfig\njoin/n3.kubeconfig\n");
    assert.equal((await stat(instance.folder.join("join/n1.kubeconfig"))).mode & 0o777, 0o600);
    const again = await operate("token", "create", "--for-inventory", "machines.yaml", "--out", "join");
    assert.equal(again.code, 1);
    assert.match(again.stderr, /cannot write ".*n1\.kubeconfig": it exists/);
    assert.equal((await listTokens()).filter(({ kind }) => kind === "node").length, 3);

    for (const node of ["n1", "n2", "n3"]) {
      const joined = await join(node, `join/${node}.kubeconfig`);
      assert.equal(joined.code, 0, joined.stderr);
      assert.match(joined.stdout, new RegExp(`^certificate of ${node} issued`));
    }
    const early = await join("copy", "join/n1.kubeconfig");
    assert.equal(early.code, 1);
    assert.match(
      early.stderr,
      /another key has used the token, which is for 1.*\n.*hint: the token was made for another/,
    );
    // After a minute, the refusal of the late copy would replace it.
    const { lastRefusal } = await untilRecorded("n1", "lastRefusal");
    assert.match(JSON.stringify(lastRefusal), /"address":"127\.0\.0\.1".*another key/);

    for (const node of ["n1", "n2", "n3"]) assert.equal(await useCertificate(node), `system:node:${node}`);
    const late = await join("copy", "join/n1.kubeconfig");
    assert.equal(late.code, 1);
    assert.match(late.stderr, /hint: the token is wrong, has expired or is used up/);

    const token = await untilRecorded("n1", "lastUse");
    assert.equal(token["isUsed"], true);
    assert.equal(token["createdBy"], "kubernetes-admin");
    const table = (await operate("token", "list")).stdout;
    assert.match(table, /^ID +TTL +KIND +NODE +FROM +USES +LAST USE +DESCRIPTION\n/);
    assert.match(table, /\n\w{6} +\d+m +node +n1 +<anywhere> +used 1\/1 +\S+Z from 127\.0\.0\.1 +<none>\n/);
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    const read = (path: string) => admin.api.requestText({ method: "GET", path }, signal);
    await eventually(
      "the Event",
      async () =>
        /"reason":"BootstrapTokenRefused","message":"An attempt from 127\.0\.0\.1 to use bootstrap/.test(
          await read("/api/v1/namespaces/kube-system/events"),
        ) || undefined,
    );
    assert.match(await read("/metrics"), /tlsboot_bootstrap_token_refusals_total\{reason="key"\} [1-9]/);
    await instance.running.waitFor(/bootstrap token refused by its limits/);
    const described = await operate("describe", "csr", await findRequestName(admin.api, "n1"));
    assert.match(described.stdout, /TokenApproved/);
    assert.match(described.stdout, /created to approve node "n1"/);
  });

  async function findRequestName(api: Awaited<ReturnType<typeof connectWith>>["api"], node: string): Promise<string> {
    const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    const { items } = await api.requestJson({ method: "GET", path }, signal) as {
      readonly items: readonly {
        readonly metadata: { readonly name: string };
        readonly status: { readonly conditions?: readonly { readonly message?: string }[] };
      }[];
    };
    const found = items.find(({ status }) => status.conditions?.[0]?.message?.includes(`node "${node}"`) === true);
    assert.ok(found !== undefined);
    return found.metadata.name;
  }

  test("a token for another node cannot request anything", async () => {
    const made = await operate("token", "create", "--node", "n5", "--approve", "--print-join-command");
    const [line = ""] = made.stdout.split("\n");
    assert.match(line, / --hostname-override n5$/);
    const words = (line.split(" --kubeconfig ")[0] ?? "").split(" ").slice(1);
    const files = toFileFlags("n6");
    assert.match(
      await instance.refuse(1, ...words, ...files, "--hostname-override", "n6"),
      /the token is only for the client certificate of node "n5",/,
    );
  });

  test("a token for a known key is useless to any other machine", async () => {
    const key = await runTlsboot(
      ["bootstrap", "--print-public-key", "--cert-dir", instance.folder.join("n7", "pki"), "--hostname-override", "n7"],
      { cwd: instance.folder.path },
    );
    assert.match(key.stdout, /^-----BEGIN PUBLIC KEY-----\n/);
    await writeFile(instance.folder.join("n7.pub"), key.stdout);
    const packed = await operate(
      ...["token", "create", "--node", "n7", "--public-key", "n7.pub", "--approve", "--ttl", "1h"],
      ...["-o", "pack", "--out", "n7.pack"],
    );
    assert.equal(packed.code, 0, packed.stderr);
    const stolen = await join("thief", "n7.pack");
    assert.equal(stolen.code, 1);
    assert.match(stolen.stderr, /the token is only for the key sha256:[0-9a-f]{64},/);
    const joined = await join("n7", "n7.pack");
    assert.equal(joined.code, 0, joined.stderr);
    assert.equal(await useCertificate("n7"), "system:node:n7");
    assert.match(
      await readFile(instance.folder.join("n7", "bootstrap-kubelet.conf"), "utf8"),
      /^# This file lets the machine n7/,
    );
  });

  test("a token is refused outside of its networks", async () => {
    const made = await operate("token", "create", "--node", "n8", "--cidr", "10.99.0.0/16", "-o", "command");
    const words = (made.stdout.split("\n")[0]?.split(" --kubeconfig ")[0] ?? "").split(" ").slice(1);
    const files = toFileFlags("n8");
    const refused = await instance.fail(1, ...words, ...files, "--hostname-override", "n8");
    assert.match(refused, /cannot create certificate signing request: Unauthorized/);
    const { networks, lastRefusal } = await untilRecorded("n8", "lastRefusal");
    assert.deepEqual(networks, ["10.99.0.0/16"]);
    assert.match(JSON.stringify(lastRefusal), /clients in 10\.99\.0\.0\/16, not from 127\.0\.0\.1/);
  });

  test("a pack is a tar with everything for a machine, and its unpacked files work too", async () => {
    const names = ["README", "bootstrap-kubelet.conf", "ca.crt", "cloud-init.yaml", "ignition.json"]
      .concat("tlsboot-bootstrap.service");
    const pack = ["token", "create", "--node", "n10", "--approve", "-o", "pack", "--out", "n10.pack"];
    const packed = await operate(...pack);
    assert.equal(packed.code, 0, packed.stderr);
    assert.equal((await stat(instance.folder.join("n10.pack"))).mode & 0o777, 0o600);
    const tar = await readFile(instance.folder.join("n10.pack"));
    const files = unwrap(readTarFiles(tar));
    assert.deepEqual([...files.keys()].sort(), names);
    assert.equal(decodeTarHeader(tar.subarray(tar.indexOf("ignition.json\0")).subarray(0, TAR_BLOCK))?.mode, 0o600);
    await mkdir(instance.folder.join("n10"));
    for (const [name, bytes] of files) await writeFile(instance.folder.join("n10", name), bytes, { mode: 0o600 });
    const config = JSON.parse(await readFile(instance.folder.join("n10/ignition.json"), "utf8"));
    assert.equal(config.storage.files[0].path, "/etc/kubernetes/bootstrap-kubelet.conf");
    const kubeconfig = Buffer.from(config.storage.files[0].contents.source.split(",")[1], "base64").toString("utf8");
    assert.equal(kubeconfig, await readFile(instance.folder.join("n10/bootstrap-kubelet.conf"), "utf8"));
    const unit = await readFile(instance.folder.join("n10/tlsboot-bootstrap.service"), "utf8");
    assert.equal(config.systemd.units[0].contents, unit);
    assert.match(unit, /ExecStart=\/usr\/local\/bin\/tlsboot bootstrap --bootstrap-kubeconfig \/etc\/kubernetes\/boot/);
    assert.match(unit, / --hostname-override n10 --rotate-certificates\n/);
    const reading = await runTlsboot(
      ["bootstrap", "--join", "n10.pack", ...toFileFlags("reading"), "--print-systemd-unit"],
      // The command ignores these variables, because the pack has the credentials.
      { cwd: instance.folder.path, env: { TLSBOOT_SERVER: "https://10.0.0.9", TLSBOOT_CA_CERT_HASH: NO_PIN } },
    );
    assert.equal(reading.code, 0, reading.stderr);
    assert.doesNotMatch(reading.stdout, /--server|--ca-cert-hash/);
    await assert.rejects(stat(instance.folder.join("reading")), /ENOENT/, "a run that prints changes nothing");
    const again = await operate(...pack);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /cannot write ".*n10\.pack": it exists/);
    await cp(instance.folder.join("n10"), instance.folder.join("machine", "pack"), { recursive: true });
    const joined = await join("machine", instance.folder.join("machine", "pack"));
    assert.equal(joined.code, 0, joined.stderr);
  });

  for (
    const [line, want] of [
      ["token create --approve", /--approve needs --node or --for-inventory/],
      ["token create --node N_1", /invalid node name/],
      ["token create --uses 0", /want a number from 1 to 1000/],
      ["token create --cidr 10.0.0.1/8", /want a range such as/],
      ["token create -o yaml --print-join-command", /--output and --print-join-command exclude each other/],
      ["token create --for-inventory machines.yaml", /--for-inventory needs --out/],
      [
        "token create --for-inventory machines.yaml --out x -o command",
        /--for-inventory and --output=command exclude each/,
      ],
      [
        "token create --for-inventory machines.yaml --out x abcdef.0123456789abcdef",
        /--for-inventory and TOKEN exclude each other/,
      ],
      ["token create -o pack --out x", /--output=pack needs --node or --for-inventory/],
      ["token create -o pack --node n1", /--output=pack needs --out/],
      ["token create -o pack --node n1 --out -", /--output=pack and --out=- exclude each other/],
      ["token create -o pack --node n1 --out n1/", /--out: "n1\/" is a folder; give a file/],
      ["token create --for-inventory machines.yaml --out -", /--for-inventory and --out=- exclude each other/],
      [
        "token create --public-key nothing.pub",
        /cannot use the public key in ".*nothing\.pub": file does not exist\n.*hint: print it on the machine/,
      ],
      ["token create --public-key nothing.pub --uses 2", /--public-key and --uses exclude each other/],
    ] as const
  ) {
    test(`tlsboot ${line} is refused`, async () => {
      const { code, stderr } = await operate(...line.split(" "));
      assert.notEqual(code, 0);
      assert.match(stderr, want);
    });
  }

  test("a token for a node that is not in the inventory file is refused", async () => {
    await writeFile(instance.folder.join("machines.yaml"), INVENTORY);
    const { code, stderr } = await operate(
      ...["token", "create", "--for-inventory", "machines.yaml", "--node", "n33", "--out", "more"],
    );
    assert.equal(code, 1);
    assert.match(stderr, /cannot make a token for "n33": the inventory ".*machines\.yaml" does not have it/);
    assert.match(stderr, /did you mean "n3"\?/);
  });

  test("a token for a node that is not in the server's inventory is refused", async () => {
    await using place = await createWorkplace();
    await writeFile(place.join("machines.yaml"), INVENTORY);
    await using server = await startInstance(place, [
      "--auto-approve",
      "--inventory",
      place.join("machines.yaml"),
    ]);
    const create = (...args: readonly string[]) =>
      runTlsboot([...args, "--server", server.url, "--data-dir", server.data], { cwd: place.path });
    const known = await eventually("the approver has published its inventory", async () => {
      const refused = await create("token", "create", "--node", "n33");
      return refused.code === 0 ? undefined : refused;
    });
    assert.match(
      known.stderr,
      /cannot make a token for "n33": the inventory of the server's approver does not have it/,
    );
    assert.equal((await create("token", "create", "--node", "n3")).code, 0);
    const packed = await create("token", "create", "--node", "n4", "-o", "pack", "--out", "n4.pack");
    assert.equal(packed.code, 1);
    assert.match(packed.stderr, /cannot make a token for "n4"/);
  });

  test("tlsboot bootstrap --join refuses a wrong file, and other credentials", async () => {
    await writeFile(instance.folder.join("other.kubeconfig"), "apiVersion: v1\nkind: Config\n");
    const none = await join("x", "other.kubeconfig");
    assert.equal(none.code, 2);
    assert.match(none.stderr, /cannot use ".*other\.kubeconfig" as a join file: it has no extension/);
    const missing = await join("x", "missing.kubeconfig");
    assert.match(missing.stderr, /cannot read the join file ".*missing\.kubeconfig": no such file/);
    const both = await join("x", "other.kubeconfig", "--token", "abcdef.0123456789abcdef");
    assert.equal(both.code, 2);
    assert.match(both.stderr, /--join and --token exclude each other\n/);
  });
});
