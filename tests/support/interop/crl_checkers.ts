/** Checks CRLs with other programs: openssl, a Go program, zlint, nginx and HAProxy. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFile, writeFile } from "node:fs/promises";
import { findPemBlock } from "../../../core/pki/asn1/pem.ts";
import { runProgram, start, succeedProgram } from "../child.ts";
import { eventually } from "../eventually.ts";
import { ask } from "../https_request.ts";
import { findProgram } from "../peers/debian.ts";
import { peerPath } from "../peers/go.ts";
import { findServerPort, type TempFolder } from "../temp.ts";

/** The error for a rejected certificate; undefined if it is accepted. */
type CrlVerdict = string | undefined;

/** The paths of a CA, its CRL in PEM, and a server certificate and its key. */
export interface CrlSetting {
  readonly folder: TempFolder;
  readonly ca: string;
  readonly crl: string;
  readonly serverCertificate: string;
  readonly serverKey: string;
}

/** The paths of a client certificate and its key. */
export interface ClientPair {
  readonly certificate: string;
  readonly key: string;
}

/** A TLS server that requires client certificates. */
interface CrlServer extends AsyncDisposable {
  /** Connects with a client's certificate. */
  check(client: ClientPair): Promise<CrlVerdict>;
}

/** Verifies a certificate with `openssl verify -crl_check`. */
export async function checkWithOpenssl(
  setting: Pick<CrlSetting, "ca" | "crl">,
  certificate: string,
): Promise<CrlVerdict> {
  const line = ["verify", "-x509_strict", "-crl_check", "-CAfile", setting.ca, "-CRLfile", setting.crl, certificate];
  const { code, stdout, stderr } = await runProgram("openssl", line);
  return code === 0 ? undefined : stdout + stderr;
}

/** Verifies a certificate with Go's crypto/x509. */
export async function checkWithGo(setting: Pick<CrlSetting, "ca" | "crl">, certificate: string): Promise<CrlVerdict> {
  const [ca, crl, leaf] = await Promise.all([setting.ca, setting.crl, certificate].map(readBase64));
  const question = JSON.stringify({ chain: [leaf], roots: [ca], host: "", crl });
  const { stdout } = await succeedProgram(peerPath("chainjudge"), [], { stdin: question });
  return stdout === "accept\n" ? undefined : stdout;
}

/** Lists the rules of RFC 5280 that a CRL violates, as zlint finds them. */
export async function lintCrl(path: string): Promise<readonly string[]> {
  const { stdout } = await succeedProgram(peerPath("zlint"), ["-includeSources", "RFC5280", path]);
  const lints = Object.entries(JSON.parse(stdout) as Readonly<Record<string, { readonly result: string }>>);
  // A run without any checks would find nothing either.
  assert.ok(lints.filter(([, { result }]) => result === "pass").length > 5, stdout);
  return lints.filter(([, { result }]) => result === "error" || result === "fatal").map(([name]) => name);
}

/** Starts nginx with the CRL as `ssl_crl`. */
export async function startNginx(setting: CrlSetting): Promise<CrlServer> {
  const { folder, ca, crl, serverCertificate, serverKey } = setting;
  const port = await findServerPort();
  const folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder.join(`nginx-${name}`)};`);
  const configuration = `daemon off; master_process off; pid ${folder.join("nginx.pid")}; error_log stderr;
    events {}
    http {
      access_log off; ${folders.join(" ")}
      server {
        listen 127.0.0.1:${port} ssl;
        ssl_certificate ${serverCertificate}; ssl_certificate_key ${serverKey};
        ssl_client_certificate ${ca}; ssl_verify_client on; ssl_crl ${crl};
        location / { return 200 "welcome"; }
      }
    }`;
  const path = folder.join("nginx.conf");
  await writeFile(path, configuration);
  return await startServer(setting, port, mustFind("nginx"), ["-c", path, "-e", "stderr"]);
}

/** Starts HAProxy with the CRL as `crl-file`. */
export async function startHaproxy(setting: CrlSetting): Promise<CrlServer> {
  const { folder, ca, crl, serverCertificate, serverKey } = setting;
  const port = await findServerPort();
  const pair = folder.join("haproxy.pem");
  await writeFile(pair, await readFile(serverCertificate, "utf8") + await readFile(serverKey, "utf8"), { mode: 0o600 });
  const path = folder.join("haproxy.cfg");
  const bind = `bind 127.0.0.1:${port} ssl crt ${pair} ca-file ${ca} verify required crl-file ${crl}`;
  const lines = ["defaults", "mode http", "timeout client 60s", "timeout server 60s", "timeout connect 60s"];
  const frontend = [
    "frontend checker",
    bind,
    "http-request return status 200 content-type text/plain string welcome",
    "",
  ];
  await writeFile(path, [...lines, ...frontend].join("\n"));
  return await startServer(setting, port, mustFind("haproxy"), ["-db", "-f", path]);
}

async function startServer(
  { ca }: CrlSetting,
  port: number,
  program: string,
  args: readonly string[],
): Promise<CrlServer> {
  const running = start(program, args);
  const caPem = await readFile(ca, "utf8");
  const check = async ({ certificate, key }: ClientPair): Promise<CrlVerdict> =>
    await connect(port, caPem, await readFile(certificate, "utf8"), await readFile(key, "utf8"));
  try {
    await eventually(`${program} to listen`, async () => {
      if (running.hasEnded()) throw new Error(`${program} ended: ${running.stderr()}`);
      const answer = await connect(port, caPem, undefined, undefined);
      return answer?.includes("ECONNREFUSED") === true ? undefined : true;
    });
    return { check, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
  } catch (error) {
    await running[Symbol.asyncDispose]();
    throw error;
  }
}

/** Sends a request with a certificate, and returns the error if it is refused. */
function connect(
  port: number,
  ca: string,
  cert: string | undefined,
  key: string | undefined,
): Promise<CrlVerdict> {
  return ask({ port, ca, cert, key, servername: "localhost" })
    .then(({ code, text }) => code === 200 && text === "welcome" ? undefined : text, (error) => `${error}`);
}

function mustFind(name: string): string {
  const found = findProgram(name);
  if (found === undefined) throw new Error(`${name} checks CRLs: install it with \`deno task debian-packages\``);
  return found;
}

async function readBase64(path: string): Promise<string> {
  const found = findPemBlock(await readFile(path, "utf8"));
  assert.ok(found !== undefined, `${path} is not PEM`);
  return Buffer.from(found.block.bytes).toString("base64");
}
