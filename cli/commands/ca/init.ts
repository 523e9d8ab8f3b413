/** `tlsboot ca init`. */
import { defineCommand } from "../../framework/command.ts";
import { KEY_ALGORITHMS } from "../../../core/pki/key_algorithm.ts";
import { choiceFlag, durationFlag, textFlag } from "../../framework/flags.ts";
import { DATA_DIR_FLAG } from "../common_flags.ts";

const flags = {
  dataDir: DATA_DIR_FLAG,
  commonName: textFlag({ default: "tlsboot-ca", summary: "Common name of the CA." }),
  duration: durationFlag({ default: "87600h", summary: "Life of the CA certificate; 87600h are ten years." }),
  keyAlgorithm: choiceFlag({
    choices: KEY_ALGORITHMS,
    default: "ecdsa-p256",
    placeholder: "ALGORITHM",
    summary: "Algorithm of the key.",
  }),
} as const;

/** Its flags, for the action. */
export type CaInitFlags = typeof flags;

/** Makes a CA on disk. */
export const caInit = defineCommand({
  path: ["ca", "init"],
  summary: "Make a certificate authority",
  description: `Make a certificate authority.

 Writes pki/ca.crt and pki/ca.key below --data-dir. An existing CA is never overwritten.`,
  group: "Key and File Commands",
  args: [],
  flags,
  examples: [
    { comment: "Make a CA in ./tlsboot-data", command: "tlsboot ca init" },
    {
      comment: "Make one with an RSA key that lasts two years",
      command: "tlsboot ca init --key-algorithm rsa-3072 --duration 17520h",
    },
  ],
  exitCodes: { 0: "the CA is written", 1: "failed, or there is a CA already" },
  load: () => import("../../actions/ca_init.ts"),
});
