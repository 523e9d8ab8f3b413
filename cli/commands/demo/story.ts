/**
 * The demo of TLS bootstrapping, with the parts of the program over real TLS. Tables and refusals are answers of the
 * server; any failure ends the demo with an error.
 */
import { once } from "node:events";
import { isAbsolute } from "node:path";
import { type ApiClient, createApiClient } from "../../../client/objects/api.ts";
import { createConnector, readCluster } from "../../../client/transport/connect.ts";
import type { FilePort } from "../../../client/files.ts";
import { AppError, getErrorMessage, isAppError } from "../../../core/errors.ts";
import type { SelfSubjectReview } from "../../../core/kube/authorization_v1.ts";
import { KUBE_APISERVER_CLIENT_SIGNER } from "../../../core/kube/certificates_v1.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import { MASTERS_GROUP } from "../../../core/kube/user.ts";
import { generatePrivateKey } from "../../../core/pki/keys.ts";
import { encodeBase64 } from "../../../core/lib/base64.ts";
import { encodePem } from "../../../core/pki/pem.ts";
import { createCertificationRequest } from "../../../core/pki/pkcs10.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import type { Logger } from "../../../core/ports.ts";
import { createApproval, decideOne } from "../../api/decisions.ts";
import { CSR_COLLECTION } from "../../api/csrs.ts";
import { createTableApi, decodeTable } from "../../api/tables.ts";
import { createCaKeys } from "../../authority/keys.ts";
import { type DataDir, PUBLIC_MODE } from "../../instance/data_dir.ts";
import { getDefaultFullSettings, startFullInstance } from "../../instance/full_instance.ts";
import type { Instance } from "../../instance/instance.ts";
import { AUTO_APPROVE_BINDING, AUTO_APPROVE_COMMAND } from "../../instance/instance_rbac.ts";
import type { Io } from "../../io.ts";
import { displayPath, pathWord } from "../../output/display_path.ts";
import { startProgress } from "../../output/progress.ts";
import { createTablePrinter } from "../../output/table.ts";
import { USER_AGENT } from "../../version.ts";
import { type Bootstrapping, type DemoMachine, planMachines, startMachine, verifyMachine } from "./machines.ts";
import { createNarrator, type Narrator } from "./narrator.ts";

/** The options and the adapters of the demo. */
export interface DemoOptions {
  /** The absolute path of the data directory, which is empty except for the marker. */
  readonly root: string;
  readonly nodes: number;
  readonly keep: boolean;
  readonly waitForEnter: boolean;
  /** How long a machine waits for its certificate. */
  readonly waitSeconds: number;
  readonly io: Io;
  readonly files: FilePort;
  readonly logger: Logger;
  /** Parts that tests remove or break, so that the demo must fail. */
  readonly sabotage?: Sabotage;
}

/** Faults that a test can add to the demo. */
export interface Sabotage {
  readonly withoutApproval?: boolean;
  readonly without?: readonly ("approver" | "signer")[];
  /** Runs when the server has started, but not its controllers. */
  readonly beforeControllers?: (dir: DataDir) => Promise<void>;
}

const SHOWN_ROWS = 10;
/**
 * The number of machines that connect at a time. They and the server share one process here, and a machine waits one
 * second for an answer: with a thousand handshakes at once, each would take longer and be repeated.
 */
const MAX_CONNECTING = 16;

/** Runs the demo. Throws the first failure. */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<void> {
  const { io, files, logger } = options;
  const narrator = createNarrator(io, options);
  const keys = createCaKeys({ caPassphraseFile: undefined, signingKeyCommand: undefined }, io, files, signal);
  const { clock, random, heap, cwd, stdout } = io;
  const deps = { files, clock, random, heap, logger, cwd, stdout, keys };
  const show = (path: string): string => pathWord(path, io.cwd);
  narrator.say(`TLS bootstrapping with ${options.nodes} ${options.nodes === 1 ? "machine" : "machines"}.`);

  const settings = { ...getDefaultFullSettings(), dataDir: options.root, securePort: 0 };
  const { without = [], beforeControllers } = options.sabotage ?? {};
  await using instance = await startFullInstance(settings, deps, signal, {
    without,
    async onServing({ dir, authorities, server }) {
      await narrator.step("A certificate authority is made", signal);
      narrator.command(`tlsboot ca init --data-dir ${show(options.root)}`);
      narrator.say(`${displayPath(dir.caCertificate, io.cwd)}, ${publicKeyPin(authorities.serving.certificate)}`);
      await narrator.step("The API server, the signer and the approver start", signal);
      narrator.command(`tlsboot up --data-dir ${show(options.root)} --secure-port ${server.port}`);
      await beforeControllers?.(dir);
    },
  });
  narrator.say(`serving at ${instance.url}`);

  const until = AbortSignal.any([signal, instance.lost]);
  const story = new Story(options, instance, narrator, show, until);
  await story.bootstrapMachines();
  await story.useACertificate();
  await story.showRefusal();
  narrator.say("");
  narrator.say(
    `Everything is in ${displayPath(options.root, io.cwd)}: certificates, keys, kubeconfigs and the database.`,
  );
  if (!options.keep) return;
  narrator.say(`Serving on at ${instance.url}; Ctrl-C ends it.`);
  if (!until.aborted) await once(until, "abort");
  instance.lost.throwIfAborted();
}

/** The steps of the demo after the start. */
class Story {
  readonly #options: DemoOptions;
  readonly #instance: Instance;
  readonly #narrator: Narrator;
  readonly #show: (path: string) => string;
  readonly #signal: AbortSignal;
  readonly #machines: readonly DemoMachine[];

  constructor(
    options: DemoOptions,
    instance: Instance,
    narrator: Narrator,
    show: (path: string) => string,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#instance = instance;
    this.#narrator = narrator;
    this.#show = show;
    this.#signal = signal;
    this.#machines = planMachines(instance.dir, options.nodes);
  }

  /** From a token to a certificate: pending, approved by hand and by rule, issued, verified. */
  async bootstrapMachines(): Promise<void> {
    const narrator = this.#narrator;
    const count = this.#machines.length;
    const first = this.#machines[0]!;
    await narrator.step(
      count === 1
        ? "A machine that holds nothing but a bootstrap token asks for a certificate"
        : `${count} machines that hold nothing but a bootstrap token ask for certificates`,
      this.#signal,
    );
    narrator.command(
      `kubelet --bootstrap-kubeconfig ${this.#show(this.#instance.dir.bootstrapKubeconfig)} --kubeconfig ` +
        `${this.#show(first.kubeconfigPath)} --cert-dir ${
          this.#showAbsolute(first.certDir)
        } --hostname-override ${first.name}`,
    );
    await using admin = await this.#connect(this.#instance.dir.adminKubeconfig);
    using asking = startProgress(this.#options.io, "machines are asking");
    const started = await this.#startMachines();
    const names = await Promise.all(started.map(({ submitted }) => submitted));
    asking[Symbol.dispose]();
    await this.#showTable(admin);

    await narrator.step(count === 1 ? "A person lets it in" : "A person lets the first one in", this.#signal);
    const [firstName] = [...names].sort();
    narrator.command(`${this.#kubectl()} certificate approve ${firstName}`);
    if (this.#options.sabotage?.withoutApproval !== true) {
      const approval = await createApproval(admin.api, "tlsboot demo", this.#signal);
      await decideOne(admin.api, firstName!, approval, this.#options.io, this.#signal);
    }
    if (count > 1) await this.#grantRule(admin.api);

    await narrator.step("The signer issues, the machines write key, certificate and kubeconfig", this.#signal);
    await this.#waitForAll(started);
    narrator.command(`${this.#kubectl()} get csr`);
    await this.#showTable(admin, false);
    await this.#verifyAll();
  }

  /** One machine calls the API with its certificate. */
  async useACertificate(): Promise<void> {
    const machine = this.#machines[0]!;
    await this.#narrator.step(`${machine.name} calls the API with its new certificate`, this.#signal);
    this.#narrator.command(`kubectl --kubeconfig ${this.#show(machine.kubeconfigPath)} auth whoami`);
    await using connection = await this.#connect(machine.kubeconfigPath);
    const review = await connection.api.requestObject<SelfSubjectReview>({
      method: "POST",
      path: "/apis/authentication.k8s.io/v1/selfsubjectreviews",
      body: { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview", metadata: {} },
    }, this.#signal);
    const { username = "", groups = [] } = review.status.userInfo ?? {};
    if (username !== `system:node:${machine.name}`) {
      throw new AppError("api_error", `the API takes ${machine.name} for "${username}"`);
    }
    this.#narrator.answer(`Username  ${username}\nGroups    [${groups.join(" ")}]`);
  }

  /** Shows that the server refuses a request, with the reason. */
  async showRefusal(): Promise<void> {
    const request = await createMastersRequest();
    const path = `${this.#instance.dir.root}/refused.yaml`;
    await this.#options.files.writeAtomic(path, formatYaml(request), PUBLIC_MODE);
    await this.#narrator.step("A user with the token asks to be an administrator, and is refused", this.#signal);
    this.#narrator.command(
      `kubectl --kubeconfig ${this.#show(this.#instance.dir.bootstrapKubeconfig)} create -f ${this.#show(path)}`,
    );
    await using connection = await this.#connect(this.#instance.dir.bootstrapKubeconfig);
    try {
      await connection.api.requestObject({ method: "POST", path: CSR_COLLECTION, body: request }, this.#signal);
    } catch (error) {
      if (!isAppError(error, "access_denied")) throw error;
      this.#narrator.answer(getErrorMessage(error));
      return;
    }
    throw new AppError("api_error", "the API took a request for system:masters from a bootstrap token");
  }

  async #startMachines(): Promise<readonly Bootstrapping[]> {
    const { io, files, logger, waitSeconds } = this.#options;
    const connect = createConnector({ files, clock: io.clock, userAgent: USER_AGENT });
    const deps = { files, clock: io.clock, random: io.random, logger, connect };
    for (const machine of this.#machines) await files.makeDirectory(machine.folder, 0o700);
    const started: Bootstrapping[] = [];
    const waiting = this.#machines.entries();
    const startOneByOne = async (): Promise<void> => {
      for (const [index, machine] of waiting) {
        const next = startMachine(machine, this.#instance.dir.bootstrapKubeconfig, waitSeconds, deps, this.#signal);
        started[index] = next;
        await next.submitted;
      }
    };
    await Promise.all(Array.from({ length: MAX_CONNECTING }, startOneByOne));
    return started;
  }

  async #grantRule(api: ApiClient): Promise<void> {
    await this.#narrator.step("A rule lets the others in: the approver asks the API whether they may", this.#signal);
    this.#narrator.command(`${this.#kubectl()} ${AUTO_APPROVE_COMMAND.replace(/^kubectl /, "")}`);
    await api.requestObject({
      method: "POST",
      path: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
      body: AUTO_APPROVE_BINDING,
    }, this.#signal);
  }

  async #waitForAll(started: readonly Bootstrapping[]): Promise<void> {
    using progress = startProgress(this.#options.io, "certificates");
    let done = 0;
    await Promise.all(started.map(async ({ outcome }) => {
      await outcome;
      done += 1;
      progress.update("certificates", { done, total: started.length });
    }));
  }

  async #verifyAll(): Promise<void> {
    const { files, io } = this.#options;
    const first = this.#machines[0]!;
    this.#narrator.command(
      `openssl verify -CAfile ${this.#show(this.#instance.dir.caCertificate)} ${this.#show(first.certificatePath)}`,
    );
    const now = io.clock.now();
    let notAfter = now;
    for (const machine of this.#machines) {
      notAfter = await verifyMachine(machine, this.#instance.authorities.serving, files, now);
    }
    const count = this.#machines.length;
    this.#narrator.good(
      `${count === 1 ? "the certificate is" : `all ${count} certificates are`} the CA's, until ` +
        notAfter.toISOString().slice(0, 10),
    );
  }

  /** Prints the table of the server, limited to the first rows. */
  async #showTable(admin: Connected, withCommand = true): Promise<void> {
    if (withCommand) this.#narrator.command(`${this.#kubectl()} get csr`);
    const value = await admin.tables.requestJson(
      { method: "GET", path: `${CSR_COLLECTION}?limit=${SHOWN_ROWS}` },
      this.#signal,
    );
    const table = decodeTable(value, CSR_COLLECTION);
    this.#narrator.answer(createTablePrinter({ isWide: false }).print(table.columnDefinitions, table.rows));
    const rest = table.metadata.remainingItemCount ?? 0;
    if (rest > 0) this.#narrator.answer(`… and ${rest} more`);
  }

  /**
   * Formats a path for --cert-dir. kubelet copies it into its kubeconfig, where a relative path starts at the
   * kubeconfig.
   */
  #showAbsolute(path: string): string {
    const isRelative = !isAbsolute(displayPath(path, this.#options.io.cwd));
    return `${isRelative ? '"$PWD"/' : ""}${this.#show(path)}`;
  }

  #kubectl(): string {
    return `kubectl --kubeconfig ${this.#show(this.#instance.dir.adminKubeconfig)}`;
  }

  async #connect(kubeconfigPath: string): Promise<Connected> {
    const { files, io } = this.#options;
    const cluster = await readCluster(kubeconfigPath, files);
    const transport = await createConnector({ files, clock: io.clock, userAgent: USER_AGENT })(cluster);
    return {
      api: createApiClient(transport, { clock: io.clock }),
      tables: createTableApi(transport, io),
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  }
}

interface Connected extends AsyncDisposable {
  readonly api: ApiClient;
  /** The client that receives Tables. */
  readonly tables: ApiClient;
}

/** A CSR for a client certificate in `system:masters`. */
async function createMastersRequest(): Promise<object> {
  const key = await generatePrivateKey("ecdsa-p256");
  const subject = { commonName: "mallory", organizations: [MASTERS_GROUP] };
  const pem = encodePem("CERTIFICATE REQUEST", createCertificationRequest({ subject }, key));
  return {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: "mallory" },
    spec: {
      request: encodeBase64(new TextEncoder().encode(pem)),
      signerName: KUBE_APISERVER_CLIENT_SIGNER,
      usages: ["client auth"],
    },
  };
}
