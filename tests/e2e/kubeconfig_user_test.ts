import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import { connectWith, describeInstance, readIdentity } from "../support/instance_process.ts";
import { createIssuingCa } from "../support/issuing_ca.ts";
import { grant } from "../support/node_requests.ts";

const signal = new AbortController().signal;
const RBAC = "/apis/rbac.authorization.k8s.io/v1";

describeInstance("tlsboot kubeconfig user", {}, (instance) => {
  const { tlsboot } = instance;

  async function whoIs(kubeconfig: string): Promise<UserInfo> {
    const identity = await readIdentity(instance.folder.join(kubeconfig));
    assert.ok(identity !== "401", kubeconfig);
    return identity;
  }

  async function post(path: string, body: unknown): Promise<void> {
    await using admin = await connectWith(instance.folder.join("data/admin.kubeconfig"));
    await admin.api.requestJson({ method: "POST", path, body }, signal);
  }

  test("tlsboot kubeconfig user gives a user access, and shows their permissions", async () => {
    const { code, stdout, stderr } = await tlsboot(
      "kubeconfig",
      "user",
      "alice",
      "--group",
      "dev,ops",
      "--duration",
      "1h",
    );
    assert.deepEqual([code, stdout], [0, "alice.kubeconfig\n"], stderr);
    assert.match(stderr, /\napproved with your own rights\n/);
    assert.match(stderr, /\nalice has access until \S+Z: kubectl --kubeconfig alice\.kubeconfig auth whoami\n/);
    assert.match(stderr, /the address https:\/\/127\.0\.0\.1:\d+ works on this machine only: give --server/);
    assert.match(
      stderr,
      /\n {2}tlsboot kubeconfig user alice --data-dir \S+ --group dev --group ops --role viewer --duration 1h --force\n$/,
    );
    assert.equal((await stat(instance.folder.join("alice.kubeconfig"))).mode & 0o777, 0o600);
    assert.deepEqual((await readdir(instance.folder.path)).filter((name) => name.endsWith(".new")), []);
    const { username, groups } = await whoIs("alice.kubeconfig");
    assert.deepEqual([username, groups], ["alice", ["dev", "ops", "system:authenticated"]]);

    await post(`${RBAC}/namespaces/default/rolebindings`, {
      metadata: { name: "alice-view" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "alice" }],
    });
    assert.match(
      await instance.refuse(1, "kubeconfig", "user", "alice"),
      /alice\.kubeconfig": it exists\ntlsboot: hint: replace it with --force/,
    );
    const replacement = ["--force", "--server", "https://api.example.com:6443"];
    const again = await instance.succeed("kubeconfig", "user", "alice", ...replacement);
    assert.match(again.stderr, /\nalice may, in the namespace default:\n {2}get, list, watch: .* and \d+ more\n$/);
    const config = parseKubeconfig(
      await readFile(instance.folder.join("alice.kubeconfig"), "utf8"),
      "alice.kubeconfig",
    );
    assert.ok(config.ok);
    assert.equal(config.value.clusters[0]?.cluster.server, "https://api.example.com:6443");
    assert.match(config.value.clusters[0]?.cluster.certificateAuthorityData ?? "", /BEGIN CERTIFICATE/);
  });

  test("tlsboot kubeconfig user reports a shorter lifetime, and prints commands that a shell parses correctly", async () => {
    const { stderr } = await instance.succeed("kubeconfig", "user", "Jürgen Müller", "--duration", "20000h");
    assert.match(stderr, /\nthe signer grants a lifetime of 1y, not the requested 20000h0m0s\n/);
    assert.match(stderr, /: kubectl --kubeconfig 'Jürgen Müller\.kubeconfig' auth whoami\n/);
    assert.match(stderr, / user 'Jürgen Müller' --data-dir \S+ --role viewer --duration 20000h --force\n/);
  });

  test("tlsboot kubeconfig user --no-approve leaves the approval to another user", async () => {
    const line = ["kubeconfig", "user", "bob@example.com", "--no-approve", "--out", "bob"];
    const asked = await tlsboot(...line);
    assert.deepEqual([asked.code, asked.stdout], [0, ""]);
    const [, name = ""] =
      /approve it with: tlsboot approve (bob-example-com-\S+)\nthen run the same/.exec(asked.stderr) ?? [];
    assert.deepEqual((await readdir(instance.folder.path)).filter((file) => file.startsWith("bob")), ["bob.key.new"]);
    assert.equal((await tlsboot("approve", name)).code, 0);
    const { code, stdout, stderr } = await tlsboot(...line);
    assert.deepEqual([code, stdout], [0, "bob\n"], stderr);
    assert.match(stderr, / user bob@example\.com --data-dir \S+ --role viewer --no-approve --out bob --force\n/);
    assert.equal((await whoIs("bob")).username, "bob@example.com");
  });

  test("tlsboot kubeconfig user without permission to approve waits for another user's approval", async () => {
    assert.equal((await tlsboot("kubeconfig", "user", "asker")).code, 0);
    const rules = [{
      apiGroups: ["certificates.k8s.io"],
      resources: ["certificatesigningrequests"],
      verbs: ["create", "get", "list", "watch"],
    }];
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    await grant(admin.api, "askers", { kind: "User", name: "asker" }, rules);
    const line = ["kubeconfig", "user", "carol", "--kubeconfig", "asker.kubeconfig"];
    const waited = await instance.refuse(3, ...line, "--timeout", "100ms");
    const [, name = ""] = /not approved by this command: you may not; waiting for: tlsboot approve (\S+)\n/
      .exec(waited) ?? [];
    await tlsboot("approve", name);
    const { stderr } = await instance.succeed(...line);
    assert.match(stderr, / user carol --data-dir data --kubeconfig asker\.kubeconfig --role viewer --force\n/);
    assert.equal((await whoIs("carol.kubeconfig")).username, "carol");
  });

  test("tlsboot kubeconfig user ends with 3 after a denial", async () => {
    const asked = await tlsboot("kubeconfig", "user", "mallory", "--no-approve");
    const [, name = ""] = /tlsboot approve (\S+)/.exec(asked.stderr) ?? [];
    await tlsboot("deny", name, "--reason", "Policy", "--message", "Nobody knows her.");
    assert.match(
      await instance.refuse(3, "kubeconfig", "user", "mallory"),
      /is already Denied; waiting[^]*is denied, reason: Policy, message: Nobody knows her\./,
    );
  });

  for (
    const [line, code, want] of [
      ["", 2, /needs/],
      ["a/b", 2, /cannot use "a\/b" as the name of a person/],
      ["system:node:n1", 2, /Kubernetes' own\n.*tlsboot request/],
      ["eve --group dev --group system:masters", 2, /system:masters group is not allowed\n.*kubeconfig admin/],
      ["eve --duration 9m", 2, /--duration: "9m" found, want a duration from 10m to 596523h/],
      ["eve --server http://x", 2, /--server: "http:\/\/x" found, want https/],
      ["there", 1, /there\.kubeconfig": it exists/],
    ] as const
  ) {
    test(`tlsboot kubeconfig user ${line} is refused and creates nothing`, async () => {
      await writeFile(instance.folder.join("there.kubeconfig"), "mine");
      const before = await readdir(instance.folder.path);
      assert.match(await instance.refuse(code, ...`kubeconfig user ${line}`.trim().split(" ")), want);
      assert.deepEqual(await readdir(instance.folder.path), before);
      assert.equal(await readFile(instance.folder.join("there.kubeconfig"), "utf8"), "mine");
    });
  }

  test("tlsboot kubeconfig user writes the CAs that the cluster publishes, not those in an older kubeconfig", async () => {
    const caPem = await readFile(instance.folder.join("data/pki/ca.crt"), "utf8");
    const admin = await readFile(instance.folder.join("data/admin.kubeconfig"), "utf8");
    const older = btoa(caPem + (await createIssuingCa(new Date())).caPem);
    const text = admin.replace(/(certificate-authority-data: )\S+/, `$1${older}`);
    await writeFile(instance.folder.join("older.kubeconfig"), text, { mode: 0o600 });
    await instance.succeed("kubeconfig", "user", "erin", "--kubeconfig", "older.kubeconfig");
    const written = parseKubeconfig(await readFile(instance.folder.join("erin.kubeconfig"), "utf8"), "erin.kubeconfig");
    assert.equal(written.ok && written.value.clusters[0]?.cluster.certificateAuthorityData, caPem);
  });
});
