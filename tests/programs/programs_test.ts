/** Third-party programs behave the same against `up` as against a real control plane with all its controllers. */
import assert from "node:assert/strict";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { test } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import type { KubeObject } from "../../core/kube/meta.ts";
import { ensureDebianProgram } from "../support/peers/debian.ts";
import { peerPath } from "../support/peers/go.ts";
import { type Child, runProgram, spawnTlsboot, start, succeedProgram, succeedTlsboot } from "../support/child.ts";
import { formatChartHeader } from "../support/chart.ts";
import { eventually } from "../support/eventually.ts";
import { assertGolden } from "../support/golden.ts";
import { createTempFolder, findServerPort, type TempFolder } from "../support/temp.ts";
import { waitForNamespace } from "../support/interop/all_objects.ts";
import { createKubectl } from "../support/interop/kubectl.ts";
import { compareScripts, formatStep, type Target } from "../support/interop/kubectl_comparison/comparison.ts";
import { PROGRAMS } from "../support/interop/programs.ts";
import { startInstance } from "../support/interop/instance.ts";
import type { ControlPlane } from "../support/interop/control_plane.ts";
import { sharedControlPlane } from "../support/interop/shared.ts";

/** All controllers except those that manage nodes with a kubelet, which `up` does not have. */
const CONTROLLERS = ["*", "-node-lifecycle-controller", "-taint-eviction-controller", "-ttl-controller"];

/** Starts a control plane with its controllers, and `up`. Each has a folder with the administrator's kubeconfig. */
async function startTargets() {
  await using opened = new AsyncDisposableStack();
  const folder = opened.use(await createTempFolder());
  const plane = opened.use(await sharedControlPlane());
  opened.use(plane.startControllers(CONTROLLERS, ["--leader-elect=true", `--root-ca-file=${plane.caPath}`]));
  const instance = opened.use(await startInstance());
  const bin = folder.join("bin");
  await mkdir(bin);
  await symlink(
    join(await ensureDebianProgram("kubernetes-client"), "usr", "bin", "kubectl"),
    join(bin, "kubectl-1.20"),
  );
  const createTarget = async (name: string, server: string, kubeconfig: string): Promise<Target> => {
    const home = folder.join(name);
    await mkdir(home);
    await writeFile(join(home, "admin.kubeconfig"), await impersonateAdministrator(kubeconfig), { mode: 0o600 });
    return { home, bin, server: new URL(server).host };
  };
  const targets = [
    await createTarget("kube-apiserver", plane.server, plane.adminKubeconfig),
    await createTarget("tlsboot", instance.server, instance.adminKubeconfig),
  ] as const;
  // Every namespace has its default objects before the comparison.
  for (const { home } of targets) {
    await waitForNamespace(createKubectl(folder, join(home, "admin.kubeconfig")), "default");
  }
  const running = opened.move();
  return { targets, folder, startedAt: plane.startedAt, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

/** Reads a kubeconfig and adds an impersonated user, so that both targets show the same user name. */
async function impersonateAdministrator(kubeconfig: string): Promise<string> {
  const config = parse(await readFile(kubeconfig, "utf8")) as { readonly users: readonly { readonly user: object }[] };
  const users = config.users.map(({ user, ...rest }) => ({
    ...rest,
    user: { ...user, as: "administrator", "as-groups": ["system:masters", "system:authenticated"] },
  }));
  return stringify({ ...config, users });
}

test(`${PROGRAMS.length} programs behave the same against tlsboot as against a real control plane`, async () => {
  await using running = await startTargets();
  const compared = await compareScripts(running.targets, PROGRAMS, running.startedAt);
  const faults = compared.filter(({ isFault }) => isFault);
  assert.equal(faults.length, 0, `${faults.length} of ${compared.length}\n${faults.map(formatStep).join("\n")}`);
});

test("packaging/kustomize equals the chart as rendered by Helm's engine", async () => {
  const files = await renderChart({ podSigner: { enabled: true }, serviceMonitor: { enabled: true } });
  assert.equal(files.size, 4);
  const header = await formatChartHeader();
  for (const [name, text] of files) {
    await assertGolden(`packaging/kustomize/${name}/${name}.yaml`, `${header}\n${text}`);
  }
});

test("the Prometheus operator accepts every field of the chart's ServiceMonitor", async () => {
  const text = await readFile("packaging/kustomize/servicemonitor/servicemonitor.yaml", "utf8");
  const validate = (stdin: string) => runProgram(peerPath("service-monitor"), [], { stdin });
  assert.deepEqual(await validate(text), { code: 0, stdout: "", stderr: "" });
  assert.match((await validate(text.replace("jobLabel", "jobLabels"))).stderr, /unknown field "jobLabels"/);
});

test("the chart accepts the values of docs/guides/in_a_cluster.md and grants the permissions that their policy needs", async () => {
  await using folder = await createTempFolder();
  const page = await readFile("docs/guides/in_a_cluster.md", "utf8");
  const values = parse(/^approver:\n[^`]*/m.exec(page)?.[0] ?? "");
  const objects = parseAllDocuments((await renderChart(values)).get("approver") ?? "")
    .map((document) => document.toJS() as KubeObject);
  const files = objects.find(({ kind }) => kind === "ConfigMap") as KubeObject & { data: Record<string, string> };
  await writeFile(folder.join("inventory.yaml"), files.data["inventory.yaml"] ?? "");
  const args = (values.approver.args as readonly string[]).map((arg) => arg.replace("/etc/tlsboot", folder.path));
  const { stdout } = await succeedTlsboot(["approver", "--print-rbac", ...args]);
  assert.deepEqual(
    objects.filter(({ kind = "" }) => /Role|ServiceAccount/.test(kind)),
    parseAllDocuments(stdout).map((document) => document.toJS()),
  );
});

test("the chart runs an attestor and an approver that enforces token limits, and kube-apiserver accepts both", async () => {
  await using plane = await sharedControlPlane();
  const rendered = await renderChart({ attestor: { enabled: true, address: "proofs.example.com" } });
  for (const [role, flags] of [["approver", ["--token-limits"]], ["attestor", []]] as const) {
    const text = rendered.get(role) ?? "";
    const objects = parseAllDocuments(text).map((document) => document.toJS() as KubeObject);
    const { stdout } = await succeedTlsboot([role, "--print-rbac", ...flags]);
    assert.deepEqual(
      objects.filter(({ kind = "" }) => /Role|ServiceAccount/.test(kind)),
      parseAllDocuments(stdout).map((document) => document.toJS()),
    );
    for (const flag of flags) assert.match(text, new RegExp(`^ +- ${flag}$`, "m"));
    const applied = plane.kubectl.given({ stdin: text });
    assert.doesNotMatch(await applied.run("apply", "-f", "-", "--validate=strict"), /warning/i);
    // The program runs with the chart's arguments and files, and only with the permissions of its account.
    await using running = await startContainer(plane, objects, role);
    await running.waitFor(role === "attestor" ? /--server https:\/\/proofs\.example\.com:\d+ / : /leading/);
    assert.doesNotMatch(running.stderr(), /forbidden|rights are missing/i);
  }
  const { stdout: help } = await succeedTlsboot(["attestor", "--help"]);
  const flags = [...(rendered.get("attestor") ?? "").matchAll(/^ +- (--[a-z-]+)=/gm)].map(([, flag = ""]) => flag);
  assert.ok(flags.length > 4 && flags.every((flag) => help.includes(flag)), flags.join(" "));
  await assert.rejects(renderChart({ attestor: { enabled: true } }), /attestor\.address/);
});

test("kube-state-metrics reports the same metrics for tlsboot as for a real control plane", async () => {
  await using running = await startTargets();
  const [expected, actual] = await Promise.all(running.targets.map((target) => scrapeState(target, running.folder)));
  assert.deepEqual(actual, expected);
  assert.notEqual(actual!.length, 0);
});

test("kwok makes nodes Ready and manages their Leases on tlsboot as on a real control plane", async () => {
  await using running = await startTargets();
  const [expected, actual] = await Promise.all(running.targets.map((target) => simulateNode(target, running.folder)));
  assert.deepEqual(actual, expected);
});

/** Runs the container of a Deployment as a local process on free ports. */
async function startContainer(plane: ControlPlane, objects: readonly KubeObject[], role: string): Promise<Child> {
  const find = <T>(kind: string): T => objects.find((object) => object.kind === kind) as T;
  const { spec: { template } } = find<Deployment>("Deployment");
  const { data } = find<{ readonly data: Readonly<Record<string, string>> }>("ConfigMap");
  const files = plane.folder.join(`${role}-files`);
  await mkdir(files);
  for (const [name, text] of Object.entries(data)) await writeFile(join(files, name), text);
  const account = template.spec.serviceAccountName;
  const token = (await plane.kubectl.run("create", "token", account, "--namespace=kube-system")).trim();
  const kubeconfig = await plane.kubeconfigWithToken(`${role}-account`, token);
  const args = template.spec.containers[0]!.args.map((arg) =>
    arg.replace("/etc/tlsboot/kubeconfig", kubeconfig).replace("/etc/tlsboot", files)
      .replace(/^(--secure-port)=.*/, "$1=0").replace(/^(--metrics-bind-address)=.*/, "$1=127.0.0.1:0")
  );
  return spawnTlsboot(args);
}

interface Deployment {
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly { readonly args: readonly string[] }[];
      };
    };
  };
}

/** Renders the chart with Helm's engine and returns the text of each template that renders objects. */
async function renderChart(values: object): Promise<ReadonlyMap<string, string>> {
  const args = ["packaging/helm/tlsboot", "kube-system", JSON.stringify(values)];
  const { stdout } = await succeedProgram(peerPath("helm-render"), args);
  const files = Object.entries(JSON.parse(stdout) as Record<string, string>);
  return new Map(
    files.filter(([path, text]) => path.endsWith(".yaml") && text.trim() !== "").map((
      [path, text],
    ) => [basename(path, ".yaml"), `${text.trim()}\n`]),
  );
}

/** The resources that both servers have and kube-state-metrics can list. */
const RESOURCES = "certificatesigningrequests,configmaps,leases,namespaces,nodes,pods,secrets,serviceaccounts";

/** Returns the metrics of one namespace and one node, without values that differ between runs. */
async function scrapeState({ home }: Target, folder: TempFolder): Promise<readonly string[]> {
  const kubeconfig = join(home, "admin.kubeconfig");
  const kubectl = createKubectl(folder, kubeconfig);
  await kubectl.run("create", "namespace", "state");
  await kubectl.run("create", "configmap", "map", "-n", "state");
  await kubectl.run("create", "secret", "generic", "hidden", "-n", "state");
  const node = { apiVersion: "v1", kind: "Node", metadata: { name: "state-node" }, spec: { unschedulable: true } };
  await kubectl.create(JSON.stringify(node));
  await waitForNamespace(kubectl, "state");
  const [port, telemetry] = [await findServerPort(), await findServerPort()];
  await using _running = start(peerPath("kube-state-metrics"), [
    ...["--kubeconfig", kubeconfig, "--host=127.0.0.1", `--port=${port}`],
    ...["--telemetry-host=127.0.0.1", `--telemetry-port=${telemetry}`, `--resources=${RESOURCES}`],
  ], { cwd: home });
  return await eventually("kube-state-metrics reports all objects", async () => {
    const text = await fetch(`http://127.0.0.1:${port}/metrics`).then((answer) => answer.text(), () => "");
    const lines = text.split("\n").filter((line) => /namespace="state"|node="state-node"/.test(line));
    const isComplete = [
      "kube_namespace_status_phase",
      "kube_secret_info",
      "kube_configmap_info",
      "kube_serviceaccount_info",
      "kube_node_info",
    ]
      .every((name) => lines.some((line) => line.startsWith(name)));
    if (!isComplete) return undefined;
    return lines.map((line) =>
      line.replace(/uid="[^"]+"/, "uid").replace(/(_created|_resource_version)(\{.*\}) .*/, "$1$2")
    ).sort();
  });
}

/** The stage of kwok that makes a node Ready. */
const STAGE = `
apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: node-ready}
spec:
  resourceRef: {apiGroup: v1, kind: Node}
  selector:
    matchExpressions:
    - {key: '.status.conditions.[] | select( .type == "Ready" ) | .status', operator: NotIn, values: ["True"]}
  next:
    statusTemplate: |
      {{ $now := Now }}
      conditions:
      - type: Ready
        status: "True"
        reason: Simulated
        message: kwok simulates the node
        lastHeartbeatTime: {{ $now | Quote }}
        lastTransitionTime: {{ $now | Quote }}
`;

/** Simulates a node with kwok and returns its conditions and the owner of its Lease. */
async function simulateNode({ home }: Target, folder: TempFolder) {
  const kubeconfig = join(home, "admin.kubeconfig");
  const kubectl = createKubectl(folder, kubeconfig);
  await writeFile(join(home, "stage.yaml"), STAGE);
  await using kwok = start(peerPath("kwok"), [
    ...["--kubeconfig", kubeconfig, "--config", "stage.yaml"],
    ...["--manage-all-nodes=true", "--node-lease-duration-seconds=40"],
  ], { cwd: home });
  const node = JSON.stringify({ apiVersion: "v1", kind: "Node", metadata: { name: "kwok-node" } });
  await kubectl.create(node);
  await kubectl.run("wait", "node/kwok-node", "--for=condition=Ready");
  await kubectl.run("wait", "-n", "kube-node-lease", "lease/kwok-node", "--for=create");
  const conditions = await kubectl.run("get", "node", "kwok-node", "-o=jsonpath={.status.conditions[*].type}");
  const owner = await kubectl.run(
    ...["get", "lease", "-n", "kube-node-lease", "kwok-node"],
    "-o=jsonpath={.metadata.ownerReferences[*].kind}/{.metadata.ownerReferences[*].name}",
  );
  await kubectl.run("delete", "node", "kwok-node");
  await kubectl.run("wait", "-n", "kube-node-lease", "lease/kwok-node", "--for=delete");
  return { conditions, owner, hasEnded: kwok.hasEnded() };
}
