/** TPMs in software (swtpm), each with its own keys, and tpm2-tools that use them. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { openTpmTransport } from "../../../client/attestation/tpm_device.ts";
import type { Bytes } from "../../../core/pki/asn1/der.ts";
import { type Finished, runProgram, start, succeedProgram } from "../child.ts";
import { eventually } from "../eventually.ts";
import { createTempFolder, type TempFolder } from "../temp.ts";

/** A running TPM, and a folder for what its tools read and write. */
export interface Swtpm extends AsyncDisposable {
  /** The Unix socket for raw commands. */
  readonly path: string;
  readonly folder: TempFolder;
  /** Runs one of the tpm2-tools in the folder, which must succeed, and then flushes transient keys. */
  tool(name: string, ...args: readonly string[]): Promise<Finished>;
  /** Runs one of the tpm2-tools to its end. */
  tryTool(name: string, ...args: readonly string[]): Promise<Finished>;
  read(file: string): Promise<Bytes>;
  write(file: string, bytes: Uint8Array): Promise<void>;
}

/** Starts a TPM with a certificate for its RSA endorsement key, issued by the CA of swtpm-tools. */
export async function startCertifiedSwtpm(commonName: string): Promise<Swtpm & { readonly caPem: string }> {
  const folder = await createTempFolder();
  await mkdir(folder.join("state"));
  await mkdir(folder.join("ca"));
  const [config, ca, options] = [
    folder.join("setup.conf"),
    folder.join("localca.conf"),
    folder.join("localca.options"),
  ];
  await writeFile(
    config,
    `create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = ${ca}\n` +
      `create_certs_tool_options = ${options}\n`,
  );
  await writeFile(
    ca,
    `statedir = ${folder.join("ca")}\nsigningkey = ${folder.join("ca", "signkey.pem")}\n` +
      `issuercert = ${folder.join("ca", "issuercert.pem")}\ncertserial = ${folder.join("ca", "certserial")}\n`,
  );
  await writeFile(options, "--platform-manufacturer test\n--platform-version 1\n--platform-model test\n");
  await succeedProgram("swtpm_setup", [
    ...["--tpm2", "--tpmstate", folder.join("state"), "--config", config],
    ...["--create-ek-cert", "--vmid", commonName],
  ]);
  const caPem = await readFile(folder.join("ca", "issuercert.pem"), "utf8");
  return { ...await startIn(folder), caPem };
}

export async function startSwtpm(): Promise<Swtpm> {
  const folder = await createTempFolder();
  await mkdir(folder.join("state"));
  return await startIn(folder);
}

async function startIn(folder: TempFolder): Promise<Swtpm> {
  const path = folder.join("socket");
  const child = start("swtpm", [
    ...["socket", "--tpm2", "--tpmstate", `dir=${folder.join("state")}`],
    ...["--server", `type=unixio,path=${path}`, "--flags", "not-need-init,startup-clear"],
  ]);
  const transport = await eventually("swtpm", () => openTpmTransport(path).catch(() => undefined));
  await transport[Symbol.asyncDispose]();
  const env = { TPM2TOOLS_TCTI: `cmd:socat - UNIX-CONNECT:${path}` };
  const options = { cwd: folder.path, env };
  return {
    path,
    folder,
    async tool(name, ...args) {
      const finished = await succeedProgram(`tpm2_${name}`, args, options);
      await succeedProgram("tpm2_flushcontext", ["--transient-object"], options);
      return finished;
    },
    tryTool: (name, ...args) => runProgram(`tpm2_${name}`, args, options),
    read: async (file) => new Uint8Array(await readFile(folder.join(file))),
    write: (file, bytes) => writeFile(folder.join(file), bytes),
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
