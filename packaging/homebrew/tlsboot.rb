# A formula of Homebrew for the released files; `deno task sign` fills in version, address and sums.
class Tlsboot < Formula
  desc "Kubernetes TLS bootstrapping from both ends"
  version "@version@"
  license "Apache-2.0"

  depends_on :linux

  on_linux do
    on_intel do
      url "@url@/tlsboot-@version@-linux-x64"
      sha256 "@sha256:linux-x64@"
    end
    on_arm do
      url "@url@/tlsboot-@version@-linux-arm64"
      sha256 "@sha256:linux-arm64@"
    end
  end

  def install
    bin.install Dir["tlsboot-*"].first => "tlsboot"
    bin.install_symlink "tlsboot" => "kubectl-tlsboot"
    generate_completions_from_executable(bin/"tlsboot", "completion")
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/tlsboot version")
  end
end
