/** The two servers that get the same exchanges: a real kube-apiserver and `tlsboot serve`, with one PKI and the same users. */
import { readFile, writeFile } from "node:fs/promises";
import { Agent } from "node:https";
import { type Child, runProgram, spawnTlsboot } from "../../support/child.ts";
import { createTempFolder } from "../../support/temp.ts";
import { type ControlPlane, startControlPlane } from "../../support/interop/control_plane.ts";
import { IDENTITIES, type Identity } from "./corpus.ts";

/** The names of the two servers, as reports and the file of meant differences write them. */
export const SIDES = ["kube-apiserver", "tlsboot"] as const;

export type SideName = (typeof SIDES)[number];

/** A server and the ways to reach it. */
export interface Side {
  readonly name: SideName;
  readonly port: number;
  /** Returns the credentials of an identity. */
  getCredential(identity: Identity): Credential;
}

/** Connections of an identity, and the header that goes with each request. */
export interface Credential {
  readonly agent: Agent;
  readonly authorization: string | undefined;
}

/** Both servers. Disposing them ends them. */
export interface Pair extends AsyncDisposable {
  /** When the first of them was started: no time of theirs is before it. */
  readonly startedAt: Date;
  readonly sides: readonly [Side, Side];
  /** Returns the output of our server, to explain a failure. */
  log(): string;
}

/** The bootstrap token that both servers get as a Secret. */
export const BOOTSTRAP_TOKEN = { id: "abcdef", secret: "0123456789abcdef" } as const;

/** Client certificates beside the admin's: name to subject. */
const SUBJECTS: Readonly<Record<string, string>> = {
  node: "/O=system:nodes/CN=system:node:n1",
  node2: "/O=system:nodes/CN=system:node:n2",
  alice: "/O=developers/CN=alice",
};

/** Starts a second kube-apiserver in place of tlsboot: differences between those two are no faults. */
export async function startTwins(): Promise<Pair> {
  const plane = await startControlPlane({ controllers: false });
  const dispose = async (twin?: ControlPlane) => {
    await twin?.[Symbol.asyncDispose]();
    await plane[Symbol.asyncDispose]();
  };
  try {
    await writeClientCertificates(plane);
    const twin = await startControlPlane({ controllers: false, sharedWith: plane });
    const agents = await createAgents(plane);
    const side = (name: SideName, { server }: ControlPlane): Side => {
      const own = agents();
      return { name, port: Number(new URL(server).port), getCredential: (identity) => own[identity] };
    };
    return {
      startedAt: plane.startedAt,
      sides: [side("kube-apiserver", plane), side("tlsboot", twin)],
      log: () => twin.apiserverLog(),
      [Symbol.asyncDispose]: () => dispose(twin),
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * Starts `tlsboot serve` and a new control plane. It cannot be a shared one: kube-apiserver caches how a user may
 * impersonate another, so that its answer depends on earlier requests.
 */
export async function startPair(): Promise<Pair> {
  await using stack = new AsyncDisposableStack();
  const plane = stack.use(await startControlPlane({ controllers: false }));
  await writeClientCertificates(plane);
  const folder = stack.use(await createTempFolder());
  const serve = stack.use(spawnTlsboot([
    ...["serve", "--data-dir", folder.join("data"), "--secure-port", "0"],
    ...["--client-ca-file", plane.caPath, "--token-auth-file", plane.folder.join("tokens.csv")],
    ...["--tls-cert-file", plane.folder.join("server.crt")],
    ...["--tls-private-key-file", plane.folder.join("server.key")],
    ...["--service-account-key-file", plane.folder.join("sa.pub")],
    ...["--service-account-signing-key-file", plane.folder.join("sa.key")],
  ], { cwd: folder.path }));
  const port = await readPort(serve);
  const agents = await createAgents(plane);
  const side = (name: SideName, at: number): Side => {
    const own = agents();
    return { name, port: at, getCredential: (identity) => own[identity] };
  };
  const owned = stack.move();
  return {
    startedAt: plane.startedAt,
    sides: [side("kube-apiserver", Number(new URL(plane.server).port)), side("tlsboot", port)],
    log: () => serve.stderr(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function readPort(serve: Child): Promise<number> {
  const [, port = ""] = await serve.waitFor(/serves https:\/\/\S+:(\d+)/);
  return Number(port);
}

async function writeClientCertificates({ folder }: ControlPlane): Promise<void> {
  const openssl = async (...args: string[]) => {
    const { code, stderr } = await runProgram("openssl", args, { cwd: folder.path });
    if (code !== 0) throw new Error(`openssl ${args.join(" ")}: ${stderr}`);
  };
  await writeFile(folder.join("client.ext"), "extendedKeyUsage=clientAuth\n");
  for (const [name, subject] of Object.entries(SUBJECTS)) {
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    await openssl("req", ...curve, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", subject);
    await openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
      ...["-out", `${name}.crt`, "-days", "20", "-extfile", "client.ext"],
    );
  }
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
