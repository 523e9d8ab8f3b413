/** `up` keeps the same signatures in `cluster-info` as a real kube-controller-manager, after every change. */
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { Kubectl } from "../../support/interop/kubectl.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { eventually } from "../../support/eventually.ts";
import { startInstance } from "../../support/interop/instance.ts";

const TIMEOUT_MS = 180_000;

interface TokenOptions {
  readonly type?: string;
  readonly name?: string;
  /** Entries in addition to the id, the secret and the usage; undefined removes an entry. */
  readonly data?: Readonly<Record<string, string | undefined>>;
}

/** Builds the Secret that kubeadm creates for a signing token, with these changes. */
function tokenSecret(id: string, { type = "bootstrap.kubernetes.io/token", name, data }: TokenOptions = {}): string {
  const all = { "token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-signing": "true", ...data };
  const encoded = Object.entries(all).flatMap(([key, value]) =>
    value === undefined ? [] : [[key, Buffer.from(value).toString("base64")]]
  );
  const metadata = { name: name ?? `bootstrap-token-${id}`, namespace: "kube-system" };
  return JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata, type, data: Object.fromEntries(encoded) });
}

function clusterInfo(kubeconfig: string): string {
  const metadata = { name: "cluster-info", namespace: "kube-public" };
  return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { kubeconfig } });
}

type Change = (kubectl: Kubectl) => Promise<unknown>;

const apply = (...objects: readonly string[]): Change => async (kubectl) => {
  for (const stdin of objects) {
    await kubectl.given({ stdin }).run("apply", "--server-side", "--force-conflicts", "-f", "-");
  }
};

interface Step {
  readonly change: string;
  readonly make: Change;
  /** Ids of the tokens that have a signature afterwards. */
  readonly signed: readonly string[];
  /** Whether the ids stay the same, but at least one signature changes. */
  readonly isRenewal?: boolean;
}

const STEPS: readonly Step[] = [
  { change: "a cluster without tokens", make: apply(clusterInfo("first")), signed: [] },
  {
    change: "tokens that sign",
    make: apply(tokenSecret("aaaaaa"), tokenSecret("bbbbbb", { data: { expiration: "2100-01-01T00:00:00Z" } })),
    signed: ["aaaaaa", "bbbbbb"],
  },
  {
    change: "tokens that do not sign",
    make: apply(
      tokenSecret("cccccc", { data: { "usage-bootstrap-signing": "false", "usage-bootstrap-authentication": "true" } }),
      tokenSecret("dddddd", { data: { "usage-bootstrap-signing": undefined } }),
      tokenSecret("eeeeee", { type: "Opaque" }),
      tokenSecret("ffffff", { data: { expiration: "2020-01-01T00:00:00Z" } }),
      tokenSecret("gggggg", { data: { "token-secret": undefined } }),
      tokenSecret("hhhhhh", { name: "bootstrap-token-iiiiii" }),
      tokenSecret("zzzzzz"),
    ),
    signed: ["aaaaaa", "bbbbbb", "zzzzzz"],
  },
  {
    change: "new content",
    make: apply(clusterInfo("second")),
    signed: ["aaaaaa", "bbbbbb", "zzzzzz"],
    isRenewal: true,
  },
  {
    change: "a new secret of a token",
    make: apply(tokenSecret("aaaaaa", { data: { "token-secret": "fedcba9876543210" } })),
    signed: ["aaaaaa", "bbbbbb", "zzzzzz"],
    isRenewal: true,
  },
  {
    change: "a token that no longer signs",
    make: apply(tokenSecret("bbbbbb", { data: { "usage-bootstrap-signing": "false" } })),
    signed: ["aaaaaa", "zzzzzz"],
  },
  {
    change: "a token that is deleted",
    make: (kubectl) => kubectl.run("delete", "secret", "bootstrap-token-aaaaaa", "--namespace=kube-system"),
    signed: ["zzzzzz"],
  },
  {
    change: "a token that has expired",
    make: apply(tokenSecret("zzzzzz", { data: { expiration: "2020-01-01T00:00:00Z" } })),
    signed: [],
  },
  {
    change: "forged signatures",
    make: (kubectl) =>
      kubectl.run(
        ...["patch", "configmap/cluster-info", "--namespace=kube-public", "--type=merge"],
        '--patch={"data":{"jws-kubeconfig-aaaaaa":"x","other":"kept"}}',
      ),
    signed: [],
  },
];

test("up signs cluster-info as kube-controller-manager does, and removes the signatures of deleted tokens", async () => {
  await using plane = await sharedControlPlane();
  await using _controllers = plane.startCertificateControllers();
  await using instance = await startInstance();
  const theirs = plane.kubectl;
  // `up` recreates its built-in token when it is deleted.
  const first = await untilSigned("up, for its own token", instance.kubectl, (some) => Object.keys(some).length === 1);
  const [builtIn = ""] = Object.keys(first);
  let before: Signatures = {};
  for (const { change, make, signed, isRenewal = false } of STEPS) {
    await Promise.all([make(theirs), make(instance.kubectl)]);
    const expected = await untilSigned(
      `kube-controller-manager, ${change}`,
      theirs,
      (signatures) =>
        Object.keys(signatures).join() === signed.join() && !(isRenewal && isDeepStrictEqual(signatures, before)),
    );
    await untilSigned(change, instance.kubectl, (some) => isDeepStrictEqual(some, expected), builtIn);
    before = expected;
  }
});

type Signatures = Readonly<Record<string, string>>;

/** Waits until the signatures are as expected, and returns them. */
async function untilSigned(
  change: string,
  kubectl: Kubectl,
  isExpected: (signatures: Signatures) => boolean,
  ignoredId = "",
): Promise<Signatures> {
  let last: Signatures = {};
  return await eventually(change, async () => {
    const { [ignoredId]: _, ...signatures } = last = await readSignatures(kubectl);
    return isExpected(signatures) ? signatures : undefined;
  }, TIMEOUT_MS).catch((cause: Error) => {
    throw new Error(`${cause.message}, the last signatures are of ${Object.keys(last)}`, { cause });
  });
}

async function readSignatures(kubectl: Kubectl): Promise<Signatures> {
  const text = await kubectl.run("get", "configmap/cluster-info", "--namespace=kube-public", "--output=json");
  const { data = {} } = JSON.parse(text) as { readonly data?: Readonly<Record<string, string>> };
  const signatures = Object.entries(data).flatMap(([key, value]) =>
    key.startsWith("jws-kubeconfig-") ? [[key.replace("jws-kubeconfig-", ""), value]] : []
  );
  return Object.fromEntries(signatures.sort(([a = ""], [b = ""]) => (a < b ? -1 : 1)));
}
