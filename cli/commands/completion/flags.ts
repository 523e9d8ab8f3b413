/** The command `tlsboot completion`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";

/** The shells that have a completion script. */
export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** The command that prints a completion script for a shell. */
export const completionCommand = defineCommand({
  path: ["completion"],
  summary: "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)",
  description: `Output shell completion code for the specified shell (bash, zsh, fish, or powershell).

 The shell evaluates the code; bash needs its package bash-completion.`,
  group: "Program Commands",
  args: [
    argument("SHELL", "bash, zsh, fish or powershell", {
      completion: { kind: "choices", choices: SHELLS },
    }),
  ],
  flags: {},
  examples: [
    { comment: "bash, in the current shell", command: "source <(tlsboot completion bash)" },
    { comment: "zsh, for every shell", command: 'tlsboot completion zsh > "${fpath[1]}/_tlsboot"' },
    { comment: "fish, for every shell", command: "tlsboot completion fish > ~/.config/fish/completions/tlsboot.fish" },
    {
      comment: "PowerShell, in the current shell",
      command: "tlsboot completion powershell | Out-String | Invoke-Expression",
    },
  ],
});
