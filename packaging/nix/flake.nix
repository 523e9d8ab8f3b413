# A flake of Nix for the released files; `deno task sign` fills in version, address and sums.
{
  description = "Kubernetes TLS bootstrapping from both ends";

  inputs.nixpkgs.url = "nixpkgs";

  outputs = { self, nixpkgs }:
    let
      version = "@version@";
      files = {
        x86_64-linux = { target = "linux-x64"; sha256 = "@sha256:linux-x64@"; };
        aarch64-linux = { target = "linux-arm64"; sha256 = "@sha256:linux-arm64@"; };
      };
      package = system: { target, sha256 }:
        let pkgs = nixpkgs.legacyPackages.${system};
        in pkgs.stdenv.mkDerivation {
          pname = "tlsboot";
          inherit version;
          src = pkgs.fetchurl { url = "@url@/tlsboot-${version}-${target}"; inherit sha256; };
          dontUnpack = true;
          # The program is carried behind its Node, where strip would cut it off.
          dontStrip = true;
          nativeBuildInputs = [ pkgs.autoPatchelfHook ];
          buildInputs = [ pkgs.stdenv.cc.cc.lib ];
          installPhase = ''
            install -D -m 755 $src $out/bin/tlsboot
            ln -s tlsboot $out/bin/kubectl-tlsboot
          '';
          meta = {
            description = "Kubernetes TLS bootstrapping from both ends";
            license = pkgs.lib.licenses.asl20;
            mainProgram = "tlsboot";
          };
        };
    in {
      packages = builtins.mapAttrs (system: file: { default = package system file; }) files;
    };
}
