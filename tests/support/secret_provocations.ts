/** Requests that fail because of a secret, so that their errors might show it. */
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { parseKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import type { SecretRun } from "./secret_search.ts";

/** A client certificate and its key, PEM. */
export interface Pair {
  readonly cert?: string;
  readonly key?: string;
}

/** The secrets that are sent, and must not appear in any output. */
interface SentSecrets {
  /** The bearer token of a user in the token file. */
  readonly token: string;
  readonly wrongToken: string;
  /** An Authorization header with a malformed value. */
  readonly malformed: string;
  /** A value in a Secret. */
  readonly content: string;
}

const SECRETS = "/api/v1/namespaces/default/secrets";
const ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts";
const REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews";

/** Sends refused credentials, refused and accepted writes of a Secret, and token reviews. */
export async function provoke(run: SecretRun, port: string, admin: Pair, sent: SentSecrets): Promise<void> {
  const { token, wrongToken, malformed, content } = sent;
  const headers = [`Bearer ${wrongToken}`, malformed, `Bearer  ${token}`, `Basic ${token}`, `Bearer ${token}`];
  const refused = await Promise.all([
    ...headers.map((authorization) => ask(port, "GET", "/api/v1/namespaces/kube-system/secrets", { authorization })),
    ask(port, "POST", SECRETS, { authorization: `Bearer ${token}` }, createSecret("x", { a: content })),
    ask(port, "POST", SECRETS, {}, createSecret("y", { [`not a key ${content}`]: "x" }), admin),
  ]);
  // The sender of an object may see its values in an error; unauthenticated clients may not.
  refused.slice(0, -1).forEach((text, index) => run.record(`refusal ${index}`, text));
  await ask(port, "POST", SECRETS, {}, createSecret("s", { a: content }), admin);
  // Only a user who may patch the object receives it with the patch applied.
  const patch = { "content-type": "application/merge-patch+json" };
  await ask(port, "PATCH", `${SECRETS}/s`, patch, { stringData: { a: [content] } }, admin);
  await ask(port, "PATCH", `${SECRETS}/s`, patch, { stringData: { b: content } }, admin);
  await ask(port, "GET", SECRETS, {}, undefined, admin);
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  run.record("a token review", await ask(port, "POST", REVIEWS, {}, review, admin).then(withoutSpec));
  await provokeAccountToken(run, port, admin);
}

/** Issues a service account token, and sends it whole and damaged. */
async function provokeAccountToken(run: SecretRun, port: string, admin: Pair): Promise<void> {
  await ask(port, "POST", ACCOUNTS, {}, { metadata: { name: "probe" } }, admin);
  const issued = await ask(port, "POST", `${ACCOUNTS}/probe/token`, {}, {}, admin);
  const token = /"token":"([^"]+)"/.exec(issued)?.[1] ?? "";
  const [, , signature = ""] = token.split(".");
  if (signature === "") throw new Error(`no token in ${issued}`);
  run.know("the signature of a service account token", signature);
  for (const sent of [token, `${token}x`, token.slice(1)]) {
    const authorization = `Bearer ${sent}`;
    run.record("an answer to a service account", await ask(port, "GET", SECRETS, { authorization }));
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token: sent } };
    run.record("its token review", await ask(port, "POST", REVIEWS, {}, review, admin).then(withoutSpec));
  }
}

function createSecret(name: string, stringData: Readonly<Record<string, string>>): object {
  return { apiVersion: "v1", kind: "Secret", metadata: { name }, stringData };
}

/** Removes the spec of a review, which repeats the token. */
function withoutSpec(answer: string): string {
  return answer.replace(/"spec":\{[^}]*\}/, "");
}

/** Records the objects that an administrator can read, except Secrets. */
export async function recordObjects(run: SecretRun, port: string, admin: Pair): Promise<void> {
  const paths = [
    "/metrics",
    ...["events", "configmaps", "serviceaccounts", "nodes"].map((resource) => `/api/v1/${resource}`),
    "/apis/events.k8s.io/v1/events",
    "/apis/certificates.k8s.io/v1/certificatesigningrequests",
    "/apis/coordination.k8s.io/v1/leases",
  ];
  for (const path of paths) run.record(path, await ask(port, "GET", path, {}, undefined, admin));
}

/** Reads the client certificate and key of a kubeconfig. */
export async function readPair(path: string): Promise<Pair> {
  const config = parseKubeconfig(await readFile(path, "utf8"), path);
  const user = config.ok ? config.value.users[0]?.user : undefined;
  return { cert: user?.clientCertificateData ?? "", key: user?.clientKeyData?.reveal() ?? "" };
}

/** Sends a request, and returns the answer with its headers. */
export function ask(
  port: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body?: object,
  pair: Pair = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({
      ...{ host: "127.0.0.1", port, method, path, agent: false, rejectUnauthorized: false, ...pair },
      headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
    }, (response) => {
      let text = JSON.stringify(response.rawHeaders);
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
      response.once("end", () => resolve(text));
    });
    outgoing.once("error", reject);
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
