/**
 * Sends the commands of an attestation to a TPM 2.0 (TCG, Trusted Platform Module Library, part 3), without a library:
 * to the kernel's resource manager `/dev/tpmrm0`, or to the Unix socket of a simulator.
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { constants } from "node:fs";
import { open, stat } from "node:fs/promises";
import { createConnection } from "node:net";
import { concatBytes, encodeUint } from "../../core/lib/encodings.ts";
import {
  encodePcrSelection,
  encodePublicArea,
  readPcrSelections,
  readTpm,
  TPM_ALGORITHM,
  tpmBuffer,
  type TpmPublicArea,
  TpmReader,
} from "../../core/attestation/tpm_structures.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";
import { orAbort } from "../../core/lib/waiting.ts";
import { lookup } from "../../core/lib/record.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import type { Clock, Random } from "../../core/ports.ts";

/** Sends commands to a TPM, one at a time. */
export interface TpmTransport extends AsyncDisposable {
  /** Sends a command and resolves with the whole response. */
  send(command: Bytes): Promise<Bytes>;
}

/** A key or a session that is loaded in a TPM. */
export type TpmHandle = number;

/** The commands of an attestation. Each throws `TpmError` for an error of the TPM, AppError `io`, or the abort's reason. */
export interface TpmDevice extends AsyncDisposable {
  /** Creates the key of a template in the endorsement hierarchy. The key is the same each time. */
  createPrimary(template: TpmPublicArea): Promise<{ readonly handle: TpmHandle; readonly publicArea: Bytes }>;
  /** Saves a key, encrypted by the TPM, so that it can be loaded again until the TPM is reset. */
  saveContext(handle: TpmHandle): Promise<Bytes>;
  loadContext(context: Bytes): Promise<TpmHandle>;
  /** Recovers the secret of a challenge: `credential` is a TPM2B_ID_OBJECT, `secret` a TPM2B_ENCRYPTED_SECRET. */
  activateCredential(
    keys: { readonly attestationKey: TpmHandle; readonly endorsementKey: TpmHandle },
    challenge: { readonly credential: Bytes; readonly secret: Bytes },
  ): Promise<Bytes>;
  /** Reads PCRs of the SHA-256 bank. */
  readPcrs(pcrs: readonly number[]): Promise<ReadonlyMap<number, Bytes>>;
  /** Quotes PCRs of the SHA-256 bank; returns TPMS_ATTEST and TPMT_SIGNATURE. */
  quote(
    attestationKey: TpmHandle,
    qualifyingData: Uint8Array,
    pcrs: readonly number[],
  ): Promise<{ readonly quote: Bytes; readonly signature: Bytes }>;
  /** Reads the certificate at an NV index; undefined when there is none or it cannot be read. */
  readCertificate(index: number): Promise<Bytes | undefined>;
}

/** The clock for pauses, the source of nonces, and the signal that ends the commands. */
export interface TpmDeviceOptions {
  readonly clock: Pick<Clock, "sleep">;
  readonly random: Pick<Random, "bytes">;
  readonly signal: AbortSignal;
}

/** Opens the TPM at a path, a device or a Unix socket. Rejects with AppError `io`. */
export async function openTpm({ path, ...options }: TpmDeviceOptions & { readonly path: string }): Promise<TpmDevice> {
  return createTpmDevice(await openTpmTransport(path), options);
}

/** An error response of a TPM. */
export class TpmError extends AppError {
  /** The response code (TPM_RC), without the number of the handle or parameter that it is for. */
  readonly responseCode: number;

  constructor(action: string, code: number) {
    const responseCode = toResponseCode(code);
    const { text = "the TPM refused it", hint } = RESPONSES.get(responseCode) ?? {};
    super("io", `cannot ${action}: ${text} (response code 0x${code.toString(16)})`, { hint });
    this.responseCode = responseCode;
  }
}

const INITIALIZE = 0x100;
/** The response codes of a busy TPM: NV_RATE, RETRY, YIELDED, TESTING. */
const BUSY: readonly number[] = [0x920, 0x922, 0x908, 0x90a];
const MAX_TRIES = 8;
const FIRST_PAUSE_MS = 20;
/** The time limit for freeing a key when the device is closed. */
const FLUSH_MS = 5_000;

const HAS_PASSWORD = {
  text: "the endorsement hierarchy has a password",
  hint: "remove it, for example with: tpm2_changeauth -c endorsement -p PASSWORD",
};
const NO_MEMORY = {
  text: "the TPM has no memory for another key or session",
  hint: "use the device /dev/tpmrm0, or free the memory with: tpm2_flushcontext -t",
};

const RESPONSES: ReadonlyMap<number, { readonly text: string; readonly hint?: string }> = new Map([
  [0x101, { text: "the TPM is in failure mode", hint: "restart the machine" }],
  [0x143, { text: "the TPM does not implement the command", hint: "use a machine with another TPM 2.0" }],
  [0x085, { text: "the endorsement hierarchy is disabled", hint: "enable it in the settings of the firmware" }],
  [0x08e, HAS_PASSWORD],
  [0x0a2, HAS_PASSWORD],
  [0x902, NO_MEMORY],
  [0x903, NO_MEMORY],
  [0x904, NO_MEMORY],
  [0x921, {
    text: "the TPM is locked out after too many wrong passwords",
    hint: "wait, or end the lockout with: tpm2_dictionarylockout -c",
  }],
  [0x09f, { text: "it is for another key or another TPM, or older than the last reset of this one" }],
]);

/** The codes of the commands (TPM_CC). */
const COMMAND = {
  createPrimary: 0x131,
  startup: 0x144,
  activateCredential: 0x147,
  nvRead: 0x14e,
  policySecret: 0x151,
  quote: 0x158,
  contextLoad: 0x161,
  contextSave: 0x162,
  flushContext: 0x165,
  startAuthSession: 0x176,
  pcrRead: 0x17e,
} as const;

const WITHOUT_SESSIONS = 0x8001;
const WITH_SESSIONS = 0x8002;
const ENDORSEMENT_HIERARCHY = 0x4000000b;
const NO_HANDLE = 0x40000007;
/** The session of an empty password (TPM_RS_PW). */
const PASSWORD = 0x40000009;
const HEADER_BYTES = 10;
const MAX_RESPONSE_BYTES = 4096;
const NONCE_BYTES = 16;
/** Every TPM can read this many bytes of an NV index at once. */
const NV_BLOCK_BYTES = 512;
const MAX_CERTIFICATE_BYTES = 8192;
const EMPTY = tpmBuffer();

/** A command, and the reader of its response. */
interface Command<T> {
  readonly code: number;
  /** The action in the message of an error, as in `cannot use the endorsement key`. */
  readonly action: string;
  readonly handles?: readonly TpmHandle[];
  /** The sessions that authorize the first handles: `PASSWORD`, or a policy session. */
  readonly sessions?: readonly number[];
  readonly parameters: readonly Uint8Array[];
  /** Whether the response has the handle of a loaded key or session. */
  readonly isLoading?: boolean;
  readonly read: (parameters: TpmReader, handle: TpmHandle) => T;
}

/** Creates the commands over a transport, which the device owns. Disposing it frees all loaded keys and sessions. */
export function createTpmDevice(
  transport: TpmTransport,
  { clock, random, signal }: TpmDeviceOptions,
): TpmDevice {
  const loaded = new Set<TpmHandle>();

  async function send(encoded: Bytes, action: string): Promise<Bytes> {
    try {
      return await transport.send(encoded);
    } catch (error) {
      throw new AppError("io", `cannot ${action}: ${getErrorMessage(error)}`, { cause: error });
    }
  }

  async function run<T>(command: Command<T>, until = signal): Promise<T> {
    const encoded = encodeCommand(command);
    for (let tries = 1;; tries++) {
      until.throwIfAborted();
      const { code, value } = readResponse(command, await orAbort(send(encoded, command.action), until), loaded);
      if (value !== undefined) return value.read;
      if (code === INITIALIZE && command.code !== COMMAND.startup && tries < MAX_TRIES) await startUp();
      else if (BUSY.includes(code) && tries < MAX_TRIES) await clock.sleep(FIRST_PAUSE_MS * 2 ** tries, until);
      else throw new TpmError(command.action, code);
    }
  }

  /** Starts a simulator; the firmware has started a real TPM. */
  const startUp = (): Promise<void> =>
    run({ code: COMMAND.startup, action: "start the TPM", parameters: [encodeUint(2, 0)], read: () => {} });

  const flush = (handle: TpmHandle): Promise<void> =>
    run(
      { code: COMMAND.flushContext, action: "free the TPM", parameters: [encodeUint(4, handle)], read: () => {} },
      AbortSignal.timeout(FLUSH_MS),
    );

  const startPolicySession = (): Promise<TpmHandle> =>
    run({
      code: COMMAND.startAuthSession,
      action: "start a session",
      handles: [NO_HANDLE, NO_HANDLE],
      parameters: [
        tpmBuffer(random.bytes(NONCE_BYTES)),
        EMPTY,
        encodeUint(1, 1), // a policy session
        encodeUint(2, TPM_ALGORITHM.none),
        encodeUint(2, TPM_ALGORITHM.sha256),
      ],
      isLoading: true,
      read: (parameters, handle) => (parameters.sized(), handle),
    });

  return {
    createPrimary: (template) =>
      run({
        code: COMMAND.createPrimary,
        action: "create a key in the TPM",
        handles: [ENDORSEMENT_HIERARCHY],
        sessions: [PASSWORD],
        // No password, no caller data, no outside information, no PCRs.
        parameters: [tpmBuffer(EMPTY, EMPTY), tpmBuffer(encodePublicArea(template)), EMPTY, encodeUint(4, 0)],
        isLoading: true,
        read: (parameters, handle) => {
          const publicArea = parameters.sized();
          parameters.rest(); // the creation data, its hash and its ticket
          return { handle, publicArea };
        },
      }),

    saveContext: (handle) =>
      run({
        code: COMMAND.contextSave,
        action: "save a key of the TPM",
        handles: [handle],
        parameters: [],
        read: (parameters) => parameters.rest(),
      }),

    loadContext: (context) =>
      run({
        code: COMMAND.contextLoad,
        action: "load a key into the TPM",
        parameters: [context],
        isLoading: true,
        read: (_parameters, handle) => handle,
      }),

    async activateCredential({ attestationKey, endorsementKey }, { credential, secret }) {
      const session = await startPolicySession();
      await run({
        code: COMMAND.policySecret,
        action: "use the endorsement key",
        handles: [ENDORSEMENT_HIERARCHY, session],
        sessions: [PASSWORD],
        parameters: [EMPTY, EMPTY, EMPTY, encodeUint(4, 0)],
        read: (parameters) => parameters.rest(),
      });
      return await run({
        code: COMMAND.activateCredential,
        action: "answer the challenge",
        handles: [attestationKey, endorsementKey],
        sessions: [PASSWORD, session],
        parameters: [credential, secret],
        read: (parameters) => parameters.sized(),
      });
    },

    async readPcrs(pcrs) {
      const values = new Map<number, Bytes>();
      // A TPM returns only a few values at a time.
      for (let rest = pcrs; rest.length > 0; rest = rest.filter((pcr) => !values.has(pcr))) {
        const before = values.size;
        await run({
          code: COMMAND.pcrRead,
          action: "read the PCRs",
          parameters: [encodePcrSelection(rest)],
          read: (parameters) => {
            parameters.uint32(); // The number of updates.
            const selected = readPcrSelections(parameters).flatMap((bank) => bank.pcrs);
            if (parameters.uint32() !== selected.length) parameters.fail("it does not have a value for each PCR");
            for (const pcr of selected) values.set(pcr, parameters.sized());
          },
        });
        if (values.size === before) {
          throw new AppError("io", `cannot read PCR ${rest.join(", ")} of the TPM: it has no such value with SHA-256`, {
            hint: "enable the SHA-256 bank of PCRs in the settings of the firmware",
          });
        }
      }
      return values;
    },

    quote: (attestationKey, qualifyingData, pcrs) =>
      run({
        code: COMMAND.quote,
        action: "sign with the attestation key",
        handles: [attestationKey],
        sessions: [PASSWORD],
        parameters: [tpmBuffer(qualifyingData), encodeUint(2, TPM_ALGORITHM.none), encodePcrSelection(pcrs)],
        read: (parameters) => ({ quote: parameters.sized(), signature: parameters.rest() }),
      }),

    async readCertificate(index) {
      const read = (length: number, offset: number): Promise<Bytes> =>
        run({
          code: COMMAND.nvRead,
          action: "read the endorsement certificate",
          handles: [index, index],
          sessions: [PASSWORD],
          parameters: [encodeUint(2, length), encodeUint(2, offset)],
          read: (parameters) => parameters.sized(),
        });
      try {
        // The index may be longer than the certificate, whose length is in its third and fourth byte.
        const [tag, form, high = 0, low = 0] = await read(4, 0);
        const length = 4 + high * 256 + low;
        if (tag !== 0x30 || form !== 0x82 || length > MAX_CERTIFICATE_BYTES) return undefined;
        const blocks: Bytes[] = [];
        for (let at = 0; at < length; at += NV_BLOCK_BYTES) {
          blocks.push(await read(Math.min(NV_BLOCK_BYTES, length - at), at));
        }
        return concatBytes(...blocks);
      } catch (error) {
        if (error instanceof TpmError) return undefined;
        throw error;
      }
    },

    async [Symbol.asyncDispose]() {
      await using _ = transport;
      // After an abort the TPM may still be busy; the resource manager frees what is left when the device is closed.
      for (const handle of loaded) await flush(handle).catch(() => {});
    },
  };
}

function encodeCommand({ code, handles = [], sessions = [], parameters }: Command<unknown>): Bytes {
  // Each has an empty nonce, the attribute `continueSession` and an empty HMAC.
  const authorizations = concatBytes(
    ...sessions.map((session) => concatBytes(encodeUint(4, session), EMPTY, encodeUint(1, 1), EMPTY)),
  );
  const body = concatBytes(
    ...handles.map((handle) => encodeUint(4, handle)),
    ...sessions.length === 0 ? [] : [encodeUint(4, authorizations.length), authorizations],
    ...parameters,
  );
  const tag = sessions.length === 0 ? WITHOUT_SESSIONS : WITH_SESSIONS;
  return concatBytes(encodeUint(2, tag), encodeUint(4, HEADER_BYTES + body.length), encodeUint(4, code), body);
}

/** Reads the code of a response, and its value if the command succeeded. */
function readResponse<T>(
  { action, isLoading = false, read }: Command<T>,
  response: Bytes,
  loaded: Set<TpmHandle>,
): { readonly code: number; readonly value?: { readonly read: T } } {
  const parsed = readTpm(response, (reader) => {
    const tag = reader.uint16();
    reader.uint32(); // The size, which the transport has read.
    const code = reader.uint32();
    if (code !== 0) return { code };
    const handle = isLoading ? reader.uint32() : 0;
    if (isLoading) loaded.add(handle);
    if (tag !== WITH_SESSIONS) return { code, value: { read: read(reader, handle) } };
    const parameters = new TpmReader(reader.bytes(reader.uint32()));
    reader.rest(); // The authorizations of the response, which are empty.
    return { code, value: { read: read(parameters, handle) } };
  });
  if (parsed.ok) return parsed.value;
  throw new AppError("io", `cannot ${action}: the response of the TPM is malformed: ${parsed.error}`);
}

/** Removes the number of the handle, session or parameter from a response code of format one. */
function toResponseCode(code: number): number {
  return (code & 0x80) === 0 ? code : code & 0xbf;
}

/** Opens the device or the Unix socket of a TPM. Rejects with AppError `io`. */
export async function openTpmTransport(path: string): Promise<TpmTransport> {
  try {
    return (await stat(path)).isSocket() ? await connectSocket(path) : await openDevice(path);
  } catch (error) {
    const [fault, hint] = lookup(OPEN_FAULTS, findErrorCode(error)) ?? [getErrorMessage(error)];
    throw new AppError("io", `cannot open the TPM "${path}": ${fault}`, { cause: error, hint });
  }
}

const NO_PERMISSION = ["permission denied", "run as root, or add the user to the group tss"] as const;

const OPEN_FAULTS: Readonly<Record<string, readonly [fault: string, hint?: string]>> = {
  ENOENT: ["there is no such device", "enable the TPM 2.0 in the settings of the firmware, or of the virtual machine"],
  EACCES: NO_PERMISSION,
  EPERM: NO_PERMISSION,
  EBUSY: ["another program uses it", "use /dev/tpmrm0, which programs share"],
};

async function openDevice(path: string): Promise<TpmTransport> {
  const file = await open(path, constants.O_RDWR);
  return {
    async send(command) {
      await file.write(command, 0, command.length, null);
      const response = new Uint8Array(MAX_RESPONSE_BYTES);
      const { bytesRead } = await file.read(response, 0, response.length, null);
      return response.subarray(0, bytesRead);
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

async function connectSocket(path: string): Promise<TpmTransport> {
  const socket = createConnection(path);
  await once(socket, "connect");
  // `send` reports errors. Without a listener, an error between two commands would end the program.
  socket.on("error", () => {});
  const chunks: AsyncIterator<Uint8Array> = socket[Symbol.asyncIterator]();
  return {
    async send(command) {
      socket.write(command);
      let response = Buffer.alloc(0);
      while (response.length < HEADER_BYTES || response.length < response.readUInt32BE(2)) {
        const { done, value } = await chunks.next();
        if (done === true || response.length > MAX_RESPONSE_BYTES) throw new Error("the TPM closed the connection");
        response = Buffer.concat([response, value]);
      }
      return Uint8Array.from(response);
    },
    [Symbol.asyncDispose]: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}
