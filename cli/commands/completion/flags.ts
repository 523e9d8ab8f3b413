/** The command `tlsboot completion`: its flags, help and examples. */
import { argument, defineCommand } from "../../framework/command.ts";

export const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

export const completionCommand = defineCommand({
  path: ["completion"],
  summary: "Output shell completion code for the specified shell (bash, zsh, fish, or powershell)",
  description: `Output shell completion code for the specified shell (bash, zsh, fish, or powershell).

 The shell evaluates the code. In bash, this needs the package bash-completion.`,
  group: "Program Commands",
  args: [argument("SHELL", "bash, zsh, fish or powershell", { kind: "choices", choices: SHELLS })],
  flags: {},
  examples: {
    "bash, in the current shell": "source <(tlsboot completion bash)",
    "zsh, for every shell": 'tlsboot completion zsh > "${fpath[1]}/_tlsboot"',
    "fish, for every shell": "tlsboot completion fish > ~/.config/fish/completions/tlsboot.fish",
    "PowerShell, in the current shell": "tlsboot completion powershell | Out-String | Invoke-Expression",
  },
});
