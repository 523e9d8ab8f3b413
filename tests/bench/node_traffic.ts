/** The usual traffic of nodes: each renews its Lease, and sometimes patches its status. */
import { connectWith } from "../support/instance_process.ts";

/** The largest number of persistent connections; each is for at least one node. */
const CLIENTS = 16;
/** The number of nodes by default. */
const NODES = 128;
const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

interface NodeTraffic extends AsyncDisposable {
  /** Renews Leases as kubelet does, with a PUT of the whole object, and returns the seconds that it took. */
  renewLeases(count: number): Promise<number>;
  /** Patches the status of Nodes as kubelet does when only the heartbeat has changed. */
  patchStatuses(count: number): Promise<number>;
}

/** Creates the objects of nodes as an administrator, over connections to the servers in turn. */
export async function openNodeTraffic(kubeconfigs: readonly string[], nodeCount = NODES): Promise<NodeTraffic> {
  const signal = new AbortController().signal;
  const clients = await Promise.all(Array.from({ length: Math.min(CLIENTS, nodeCount) }, async (_, index) => {
    const connected = await connectWith(kubeconfigs[index % kubeconfigs.length]!);
    const nodes = Array.from(
      { length: Math.ceil((nodeCount - index) / CLIENTS) },
      (_, number) => `bench-${index}-${number}`,
    );
    return { ...connected, nodes, leases: new Map<string, Lease>() };
  }));

  /** Uses all connections in parallel, each for one act after another, until the count is reached. */
  async function drive(count: number, act: (client: typeof clients[number], name: string) => Promise<void>) {
    const startedAt = performance.now();
    let begun = 0;
    await Promise.all(clients.map(async (client) => {
      for (let turn = 0; begun++ < count; turn++) await act(client, client.nodes[turn % client.nodes.length]!);
    }));
    return (performance.now() - startedAt) / 1000;
  }

  await Promise.all(clients.map(async ({ api, nodes, leases }) => {
    for (const name of nodes) {
      await api.requestJson({ method: "POST", path: "/api/v1/nodes", body: createNode(name) }, signal);
      await api.requestJson(statusPatch(name), signal);
      leases.set(
        name,
        await api.requestJson({ method: "POST", path: LEASES, body: createLease(name) }, signal) as Lease,
      );
    }
  }));
  return {
    renewLeases: (count) =>
      drive(count, async ({ api, leases }, name) => {
        const lease = leases.get(name)!;
        const body = { ...lease, spec: { ...lease.spec, renewTime: microTime() } };
        leases.set(name, await api.requestJson({ method: "PUT", path: `${LEASES}/${name}`, body }, signal) as Lease);
      }),
    patchStatuses: (count) =>
      drive(count, async ({ api }, name) => void await api.requestJson(statusPatch(name), signal)),
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client[Symbol.asyncDispose]();
    },
  };
}

interface Lease {
  readonly spec: object;
}

function createLease(name: string): object {
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, namespace: "kube-node-lease" },
    spec: { holderIdentity: name, leaseDurationSeconds: 40, renewTime: microTime() },
  };
}

function createNode(name: string): object {
  const labels = {
    "kubernetes.io/hostname": name,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": "amd64",
    "node.kubernetes.io/instance-type": "bench",
    "topology.kubernetes.io/zone": "one",
  };
  return { apiVersion: "v1", kind: "Node", metadata: { name, labels }, spec: { podCIDR: "10.0.0.0/24" } };
}

function statusPatch(name: string) {
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const conditions = ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].map((type) => ({
    type,
    status: type === "Ready" ? "True" : "False",
    lastHeartbeatTime: now,
    lastTransitionTime: "2026-01-01T00:00:00Z",
    reason: `KubeletHas${type}`,
    message: `kubelet says of ${type} what kubelets say`,
  }));
  const resources = { cpu: "64", memory: "263892892Ki", pods: "110", "ephemeral-storage": "959218776Ki" };
  return {
    method: "PATCH",
    path: `/api/v1/nodes/${name}/status`,
    contentType: "application/strategic-merge-patch+json",
    body: {
      status: {
        conditions,
        capacity: resources,
        allocatable: resources,
        addresses: [{ type: "InternalIP", address: "10.0.0.1" }, { type: "Hostname", address: name }],
        nodeInfo: {
          machineID: "0123456789abcdef0123456789abcdef",
          systemUUID: "01234567-89ab-cdef-0123-456789abcdef",
          bootID: "01234567-89ab-cdef-0123-456789abcdef",
          kernelVersion: "6.12.0",
          osImage: "Linux",
          containerRuntimeVersion: "containerd://2.2.0",
          kubeletVersion: "v1.37.2",
          kubeProxyVersion: "v1.37.2",
          operatingSystem: "linux",
          architecture: "amd64",
        },
      },
    },
  } as const;
}

/** Formats the current time as a Kubernetes `MicroTime`. */
function microTime(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
