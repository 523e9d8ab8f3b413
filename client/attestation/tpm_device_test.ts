import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import process from "node:process";
import { ATTESTATION_TEMPLATE, tpmBuffer } from "../../core/attestation/tpm_structures.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { concatBytes, encodeHex, encodeUint } from "../../core/lib/encodings.ts";
import type { Bytes } from "../../core/pki/asn1/der.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createTempFolder } from "../../tests/support/temp.ts";
import { createTpmDevice, openTpmTransport, type TpmDevice, TpmError } from "./tpm_device.ts";

const STARTUP = "80010000000c000001440000";
const FLUSH = "80010000000e00000165";
const [RETRY, INITIALIZE] = [0x922, 0x100];

/** Encodes a response that has no sessions. */
function respond(code: number, ...parts: readonly Uint8Array[]): Bytes {
  const body = concatBytes(...parts);
  return concatBytes(encodeUint(2, 0x8001), encodeUint(4, 10 + body.length), encodeUint(4, code), body);
}

/** A TPM that answers with these responses, and records the commands. */
function createScriptedTpm(
  responses: readonly (Bytes | Error)[],
  signal: AbortSignal = new AbortController().signal,
): { readonly commands: readonly string[]; readonly device: TpmDevice } {
  const commands: string[] = [];
  const script = [...responses];
  const transport = {
    send(command: Bytes): Promise<Bytes> {
      commands.push(encodeHex(command));
      const response = script.shift() ?? respond(0);
      return response instanceof Error ? Promise.reject(response) : Promise.resolve(response);
    },
    [Symbol.asyncDispose]: () => Promise.resolve(void commands.push("closed")),
  };
  const clock = { sleep: (ms: number) => Promise.resolve(void commands.push(`${ms} ms`)) };
  return { commands, device: createTpmDevice(transport, { clock, random: createSeededRandom(), signal }) };
}

describe("createTpmDevice()", () => {
  test("starts a TPM that was not started, and repeats the command", async () => {
    const pcr0 = [
      encodeUint(4, 9),
      concatBytes(encodeUint(4, 1), Uint8Array.of(0, 0x0b, 3, 1, 0, 0)),
      encodeUint(4, 1),
    ];
    const { commands, device } = createScriptedTpm([
      respond(INITIALIZE),
      respond(0),
      respond(0, ...pcr0, tpmBuffer(new Uint8Array(32))),
    ]);
    assert.deepEqual(await device.readPcrs([0]), new Map([[0, new Uint8Array(32)]]));
    assert.deepEqual(commands, [commands[0], STARTUP, commands[0]]);
  });

  test("repeats a command while the TPM is busy, but not forever", async () => {
    const { commands, device } = createScriptedTpm(Array.from({ length: 20 }, () => respond(RETRY)));
    await assert.rejects(
      device.readPcrs([0]),
      /^TpmError: cannot read the PCRs: the TPM refused it \(response code 0x922\)$/,
    );
    const pauses = commands.filter((command) => command.endsWith(" ms"));
    assert.deepEqual(pauses, ["40 ms", "80 ms", "160 ms", "320 ms", "640 ms", "1280 ms", "2560 ms"]);
  });

  for (
    const { code, want } of [
      { code: 0x921, want: "the TPM is locked out after too many wrong passwords (response code 0x921)" },
      { code: 0x9a2, want: "the endorsement hierarchy has a password (response code 0x9a2)" },
      { code: 0x185, want: "the endorsement hierarchy is disabled (response code 0x185)" },
      { code: 0x902, want: "the TPM has no memory for another key or session (response code 0x902)" },
      { code: 0x1d5, want: "the TPM refused it (response code 0x1d5)" },
    ]
  ) {
    test(`reports the response code 0x${code.toString(16)}`, async () => {
      const { device } = createScriptedTpm([respond(code)]);
      await assert.rejects(device.createPrimary(ATTESTATION_TEMPLATE), (error) => {
        assert.ok(error instanceof TpmError);
        assert.equal(error.message, `cannot create a key in the TPM: ${want}`);
        return true;
      });
    });
  }

  test("reports a malformed response, and a TPM that cannot be reached", async () => {
    const { device } = createScriptedTpm([respond(0, new Uint8Array(3)), new Error("write EIO")]);
    for (const want of ["the response of the TPM is malformed: it ends too early", "write EIO"]) {
      await assert.rejects(device.readPcrs([0]), new AppError("io", `cannot read the PCRs: ${want}`));
    }
  });

  test("reports PCRs that the TPM does not have", async () => {
    const none = respond(0, encodeUint(4, 9), encodeUint(4, 0), encodeUint(4, 0));
    const { device } = createScriptedTpm([none]);
    await assert.rejects(device.readPcrs([0, 7]), /cannot read PCR 0, 7 of the TPM: it has no such value/);
  });

  test("returns no certificate when the index does not exist, or holds something else", async () => {
    const other = concatBytes(encodeUint(2, 0x8002), encodeUint(4, 20), encodeUint(4, 0), encodeUint(4, 6));
    const { device } = createScriptedTpm([respond(0x18b), concatBytes(other, tpmBuffer(new Uint8Array(4)))]);
    assert.equal(await device.readCertificate(0x01c00002), undefined);
    assert.equal(await device.readCertificate(0x01c00002), undefined);
  });

  test("frees loaded handles at the end, even after an error", async () => {
    const { commands, device } = createScriptedTpm([
      respond(0, encodeUint(4, 0x80000000), tpmBuffer(Uint8Array.of(1))),
      respond(0, encodeUint(4, 0x03000000), tpmBuffer(Uint8Array.of(1))),
      respond(0x9a2),
      new Error("write EIO"),
    ]);
    await device.createPrimary(ATTESTATION_TEMPLATE);
    const keys = { attestationKey: 0x80000000, endorsementKey: 0x80000001 };
    await assert.rejects(device.activateCredential(keys, { credential: tpmBuffer(), secret: tpmBuffer() }));
    await device[Symbol.asyncDispose]();
    assert.deepEqual(commands.slice(3), [`${FLUSH}80000000`, `${FLUSH}03000000`, "closed"]);
  });

  test("sends nothing after an abort", async () => {
    const { commands, device } = createScriptedTpm([], AbortSignal.abort(new Error("interrupted")));
    await assert.rejects(device.readPcrs([0]), /interrupted/);
    assert.deepEqual(commands, []);
  });
});

describe("openTpmTransport()", () => {
  test("sends commands to a socket, and assembles each response", async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tpm");
    await using server = createServer((socket) => {
      const response = respond(0, new Uint8Array(8).fill(7));
      socket.on("data", () => {
        socket.write(response.subarray(0, 4));
        setImmediate(() => socket.write(response.subarray(4)));
      });
    });
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await using transport = await openTpmTransport(path);
    for (let times = 0; times < 3; times++) {
      assert.deepEqual(await transport.send(Uint8Array.of(1)), respond(0, new Uint8Array(8).fill(7)));
    }
  });

  test("reports a socket that is closed", async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tpm");
    await using server = createServer((socket) => void socket.on("data", () => socket.end()));
    await new Promise<void>((resolve) => server.listen(path, resolve));
    await using transport = await openTpmTransport(path);
    await assert.rejects(transport.send(Uint8Array.of(1)), /the TPM closed the connection/);
  });

  test("writes to a file and reads from it", async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tpm");
    await writeFile(path, "..response");
    await using transport = await openTpmTransport(path);
    assert.deepEqual(await transport.send(Uint8Array.of(1, 2)), new TextEncoder().encode("response"));
  });

  test("reports a TPM that does not exist", async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tpm");
    await assert.rejects(openTpmTransport(path), (error) => {
      assert.ok(isAppError(error, "io"));
      assert.equal(error.message, `cannot open the TPM "${path}": there is no such device`);
      assert.equal(error.hint, "enable the TPM 2.0 in the settings of the firmware, or of the virtual machine");
      return true;
    });
  });

  const isRoot = process.getuid?.() === 0;
  test("reports a TPM that the user may not open", { skip: isRoot && "root may open any file" }, async () => {
    await using folder = await createTempFolder();
    const path = folder.join("tpm");
    await writeFile(path, "", { mode: 0 });
    await assert.rejects(openTpmTransport(path), /permission denied/);
  });
});
