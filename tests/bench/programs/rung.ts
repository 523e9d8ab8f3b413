/**
 * A server with the layers of tlsboot up to a given one, for `deno task bench ladder`. The layers above are replaced by
 * parts that accept everything. It uses the data directory of a stopped instance, and prints its port.
 *
 * Usage: rung.ts LAYER DATA-DIR
 */
import { Buffer } from "node:buffer";
import { readFile } from "node:fs/promises";
import { createSecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { setInterval } from "node:timers";
import type { Readable } from "node:stream";
import { createSystemClock, createSystemRandom } from "../../../cli/system.ts";
import { certificateSigningRequestKind } from "../../../core/kube/kinds/mod.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import { DEFAULT_ISSUER } from "../../../core/service_accounts/issuer_documents.ts";
import { dataDirAt } from "../../../instance/data_dir.ts";
import { createAdmission, createDefaultPlugins } from "../../../server/admission/admission.ts";
import { createBootstrapTokenPlugins } from "../../../server/admission/certificates.ts";
import { createRevocationPlugins, openRevocations } from "../../../server/revocation/revocations.ts";
import { type App, createApp } from "../../../server/app.ts";
import { createAuthenticator } from "../../../server/authn/authenticator.ts";
import { createAuthorizer, createRbacSource } from "../../../server/authz/authorizer.ts";
import { openBootstrapTokens } from "../../../server/authn/bootstrap_tokens.ts";
import { listen } from "../../../server/connections/listener.ts";
import { createFlowControl } from "../../../server/flowcontrol/flow_control.ts";
import type { Answer } from "../../../server/http/answer.ts";
import { encodeStored } from "../../../server/http/respond.ts";
import { createMetrics, gaugeInflight } from "../../../server/metrics/api_requests.ts";
import { createMetricsRegistry } from "../../../server/metrics/registry.ts";
import { createRequestCommit, Register } from "../../../server/register/register.ts";
import type { Resource } from "../../../server/registry/resource.ts";
import { createResources, STORED_RESOURCES } from "../../../server/registry/resources.ts";
import { createStoredValues } from "../../../server/registry/stored_values.ts";
import { createApi } from "../../../server/server.ts";
import { openSqliteStorage } from "../../../server/storage/sqlite/sqlite_storage.ts";
import { createNodeRequest } from "../../overload/requests.ts";
import { runMain } from "../../support/command_line.ts";
import { createMemoryLogger } from "../../support/memory_logger.ts";
import { type Layer, LAYERS } from "../ladder.ts";

const PROTOBUF = "application/vnd.kubernetes.protobuf";

/** The user of all requests on a server without authentication. */
const USER = { username: "system:bootstrap:abcdef", uid: "", groups: ["system:bootstrappers"], extra: {} };

/** The number of requests in flight that `up` allows. */
const SEATS = 600;

async function main(): Promise<number> {
  const [layer, data] = process.argv.slice(2);
  const level = LAYERS.indexOf(layer as Layer);
  if (level < 0 || data === undefined) throw new Error(`usage: rung.ts ${LAYERS.join("|")} DATA-DIR`);
  const has = (other: Layer): boolean => LAYERS.indexOf(other) <= level;
  const port = await (has("listener") ? serveApp(has, data) : serveEcho(has, data));
  process.stdout.write(`serving on port ${port}\n`);
  // The parent ends this process.
  await new Promise(() => setInterval(() => {}, 60_000));
  return 0;
}

async function readPair(data: string) {
  const { servingCertificate, servingKey, caCertificate } = dataDirAt(data);
  const [cert, key, ca] = await Promise.all(
    [servingCertificate, servingKey, caCertificate].map((path) => readFile(path, "utf8")),
  );
  return { cert: cert!, key: key!, ca: ca! };
}

/** Serves with Node alone: each request is answered with its own body. */
async function serveEcho(has: (layer: Layer) => boolean, data: string): Promise<number> {
  const { cert, key } = await readPair(data);
  const server = createSecureServer({ cert, key });
  if (has("compat")) {
    server.on("request", (request, response) => {
      readAll(request, (body) => response.writeHead(201, { "content-type": PROTOBUF }).end(body));
    });
  } else {
    server.on("stream", (stream) => {
      readAll(stream, (body) => {
        stream.respond({ ":status": 201, "content-type": PROTOBUF });
        stream.end(body);
      });
    });
  }
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function readAll(body: Readable, answer: (bytes: Buffer) => void): void {
  const pieces: Buffer[] = [];
  body.on("data", (piece: Buffer) => pieces.push(piece));
  body.on("end", () => answer(Buffer.concat(pieces)));
}

async function serveApp(has: (layer: Layer) => boolean, data: string): Promise<number> {
  const { cert, key, ca } = await readPair(data);
  const [clock, logger] = [createSystemClock(), createMemoryLogger()];
  const created = await createAnswer();
  const app: App | undefined = has("routing") ? await createLayers(has, data, ca) : undefined;
  const listener = await listen({
    bindAddress: "127.0.0.1",
    port: 0,
    serving: { certificatePem: cert, keyPem: key },
    clientCaPem: ca,
    clock,
    logger,
    async answer(...request) {
      const answer = await app?.(...request);
      // Layers below the handler of creations do not serve resources.
      return answer === undefined || (answer.status === 404 && !has("creation")) ? created : answer;
    },
  });
  return listener.port;
}

/** Creates the fixed answer of the layers below the handlers. */
async function createAnswer(): Promise<Answer> {
  const object = await createNodeRequest("n1");
  const body = encodeStored(certificateSigningRequestKind, { object, bytes: new Uint8Array() }, PROTOBUF, false);
  return { status: 201, headers: { "content-type": PROTOBUF }, body };
}

/** Creates the app with the parts of the API up to a layer; the last layer is the whole API. */
async function createLayers(has: (layer: Layer) => boolean, data: string, ca: string): Promise<App> {
  const [clock, random, logger] = [createSystemClock(), createSystemRandom(), createMemoryLogger()];
  const bundle = parseCaBundle(ca);
  if (!bundle.ok) throw new Error(bundle.error);
  const clientCas = () => bundle.value;
  const storage = await openSqliteStorage({
    path: dataDirAt(data).database,
    values: createStoredValues(STORED_RESOURCES),
    clock,
  });
  const common = { storage, clock, random, logger, clientCas, anonymous: true, audit: undefined, tokenFile: undefined };
  const [version, serverAddress] = [{}, () => "127.0.0.1:6443"];
  if (has("followers")) {
    return (await createApi({ ...common, bootstrapTokens: true, version, serverAddress, objects: [] })).app;
  }
  const registry = createMetricsRegistry();
  const rbac = await createRbacSource(storage);
  const authorizer = createAuthorizer({ rbac, storage });
  const register = await Register.open(common);
  const revocations = await openRevocations({ ...common, registry, register });
  const tokens = await openBootstrapTokens({ ...common, registry });
  const resources = createResources({
    ...common,
    authorizer,
    rbac,
    revocations,
    commitRequest: has("commit") ? createRequestCommit({ ...common, register }) : passCommit,
  });
  const requests = resources.find(({ kind }) => kind === certificateSigningRequestKind)!;
  const { prepareForCreate } = requests.strategy;
  const unverified = { ...requests, strategy: prepareForCreate === undefined ? {} : { prepareForCreate } };
  const admission = createAdmission(
    has("admission")
      ? [
        ...createDefaultPlugins({ ...common, authorizer }),
        ...createBootstrapTokenPlugins({ authorizer, logger, tokens }),
        ...createRevocationPlugins({ ...common, revocations }),
      ]
      : [],
  );
  const served = { resources: has("creation") ? [has("verification") ? requests : unverified] : [], reviews: [] };
  return createApp({
    ...common,
    version,
    serverAddress,
    admission,
    served: () => served,
    authenticate: has("authentication")
      ? createAuthenticator({ ...common, apiAudiences: [DEFAULT_ISSUER], revocations, bootstrapTokens: tokens })
      : () => Promise.resolve({ kind: "user", user: USER, audiences: [] }),
    authorizer: has("authorization")
      ? authorizer
      : { ...authorizer, authorize: () => Promise.resolve({ kind: "allow", reason: "" }) },
    revocations,
    flowControl: createFlowControl({ clock, seats: SEATS }),
    metrics: createMetrics(registry),
    inflight: gaugeInflight(registry, clock),
    checks: [],
    crls: { find: () => undefined },
    stopping: new AbortController().signal,
  });
}

/** Answers with the object that would be stored, without storing it. */
const passCommit: Resource["commit"] = (write) => {
  if (write.kind === "delete") throw new Error("nothing is deleted here");
  const { key, object } = write;
  return Promise.resolve({ key, revision: 1, current: { key, revision: 1, object, bytes: new Uint8Array(), size: 0 } });
};

runMain("rung", main);
