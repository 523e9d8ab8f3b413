/** The two servers that get the same exchanges: a real kube-apiserver and `tlsboot serve`, with one PKI and the same users. */
import { readFile } from "node:fs/promises";
import { Agent } from "node:https";
import { spawnTlsboot } from "../../support/child.ts";
import { createTempFolder } from "../../support/temp.ts";
import { type ControlPlane, startControlPlane, writeCertificate } from "../../support/interop/control_plane.ts";
import { IDENTITIES, type Identity } from "./corpus.ts";

/** The names of the two servers, as reports and the file of intended differences write them. */
type SideName = "kube-apiserver" | "tlsboot";

/** A server and the ways to reach it. */
export interface Side {
  readonly name: SideName;
  readonly port: number;
  /** Returns the credentials of an identity. */
  getCredential(identity: Identity): Credential;
}

/** The TLS connections of an identity, and its Authorization header. */
export interface Credential {
  readonly agent: Agent;
  readonly authorization: string | undefined;
}

/** Both servers. Disposing stops them. */
export interface Pair extends AsyncDisposable {
  /** When the first server was started; no time in an answer is earlier. */
  readonly startedAt: Date;
  readonly sides: readonly [Side, Side];
}

/** The bootstrap token that both servers get as a Secret. */
export const BOOTSTRAP_TOKEN = { id: "abcdef", secret: "0123456789abcdef" } as const;

/** The subjects of all client certificates except the admin's, by name. */
const SUBJECTS: Readonly<Record<string, string>> = {
  node: "/O=system:nodes/CN=system:node:n1",
  node2: "/O=system:nodes/CN=system:node:n2",
  alice: "/O=developers/CN=alice",
};

/**
 * Starts a new control plane and `tlsboot serve`. The control plane is not shared, because kube-apiserver caches who
 * may impersonate whom, so its answers depend on earlier requests. With `isSelf` a second kube-apiserver replaces
 * tlsboot, which shows the differences that are not faults of tlsboot.
 */
export async function startPair(isSelf = false): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const plane = stack.use(await startControlPlane({ controllers: false }));
  for (const [name, subject] of Object.entries(SUBJECTS)) await writeCertificate(plane.folder, name, subject);
  const port = await (isSelf ? startTwin : startServe)(plane, stack);
  const agents = await createAgents(plane);
  const side = (name: SideName, at: number): Side => {
    const own = agents();
    return { name, port: at, getCredential: (identity) => own[identity] };
  };
  const owned = stack.move();
  return {
    startedAt: plane.startedAt,
    sides: [side("kube-apiserver", getPort(plane)), side("tlsboot", port)],
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startTwin(plane: ControlPlane, stack: AsyncDisposableStack): Promise<number> {
  return getPort(stack.use(await startControlPlane({ controllers: false, sharedWith: plane })));
}

async function startServe(plane: ControlPlane, stack: AsyncDisposableStack): Promise<number> {
  const folder = stack.use(await createTempFolder());
  const serve = stack.use(spawnTlsboot([
    ...["serve", "--data-dir", folder.join("data"), "--secure-port", "0"],
    ...["--client-ca-file", plane.caPath, "--token-auth-file", plane.folder.join("tokens.csv")],
    ...["--tls-cert-file", plane.folder.join("server.crt")],
    ...["--tls-private-key-file", plane.folder.join("server.key")],
    ...["--service-account-key-file", plane.folder.join("sa.pub")],
    ...["--service-account-signing-key-file", plane.folder.join("sa.key")],
  ], { cwd: folder.path }));
  const [, port = ""] = await serve.waitFor(/serves https:\/\/\S+:(\d+)/);
  return Number(port);
}

function getPort({ server }: ControlPlane): number {
  return Number(new URL(server).port);
}

async function createAgents({ folder }: ControlPlane): Promise<() => Readonly<Record<Identity, Credential>>> {
  const ca = await readFile(folder.join("ca.crt"), "utf8");
  const pairs = new Map<string, { readonly cert: string; readonly key: string }>();
  for (const name of ["admin", ...Object.keys(SUBJECTS)]) {
    const [cert, key] = await Promise.all(["crt", "key"].map((end) => readFile(folder.join(`${name}.${end}`), "utf8")));
    pairs.set(name, { cert: cert!, key: key! });
  }
  const tokens: Partial<Record<Identity, string>> = {
    bootstrap: `${BOOTSTRAP_TOKEN.id}.${BOOTSTRAP_TOKEN.secret}`,
    token: "user-token",
    badtoken: "nobody-has-this-token",
  };
  const getCredential = (identity: Identity): Credential => {
    const token = tokens[identity];
    return {
      agent: new Agent({ keepAlive: true, maxSockets: 8, ca, ...pairs.get(identity) }),
      authorization: token === undefined ? undefined : `Bearer ${token}`,
    };
  };
  return () => Object.fromEntries(IDENTITIES.map((one) => [one, getCredential(one)])) as Record<Identity, Credential>;
}
