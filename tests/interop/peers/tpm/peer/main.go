// Command peer is the other side of an attestation, with go-tpm and go-attestation: as the server it makes credentials
// and verifies quotes; as the machine it presents keys and answers challenges. It reads JSON on stdin and writes JSON
// on stdout.
package main

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/google/go-attestation/attest"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxudstpm"
)

// message has the fields of every request and answer; bytes are base64.
type message struct {
	// Socket is the path of the TPM's socket.
	Socket string `json:"socket,omitempty"`
	// Algorithm is that of both keys, rsa or ecc.
	Algorithm string `json:"algorithm,omitempty"`
	// EndorsementKey and AttestationKey are TPMT_PUBLIC.
	EndorsementKey []byte `json:"endorsementKey,omitempty"`
	AttestationKey []byte `json:"attestationKey,omitempty"`
	Name           []byte `json:"name,omitempty"`
	// Credential and EncryptedSecret begin with their sizes.
	Credential      []byte         `json:"credential,omitempty"`
	EncryptedSecret []byte         `json:"encryptedSecret,omitempty"`
	Secret          []byte         `json:"secret,omitempty"`
	Nonce           []byte         `json:"nonce,omitempty"`
	Quote           []byte         `json:"quote,omitempty"`
	Signature       []byte         `json:"signature,omitempty"`
	PCRs            map[int][]byte `json:"pcrs,omitempty"`
}

func main() {
	actions := map[string]func(*message) (*message, error){
		"make":     makeCredential,
		"verify":   verifyQuote,
		"evidence": presentEvidence,
		"answer":   answerChallenge,
	}
	var request message
	err := errors.New("usage: peer make|verify|evidence|answer < JSON")
	if len(os.Args) == 2 && actions[os.Args[1]] != nil {
		err = json.NewDecoder(os.Stdin).Decode(&request)
		if err == nil {
			var answer *message
			if answer, err = actions[os.Args[1]](&request); err == nil {
				err = json.NewEncoder(os.Stdout).Encode(answer)
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func makeCredential(request *message) (*message, error) {
	area, err := tpm2.Unmarshal[tpm2.TPMTPublic](request.EndorsementKey)
	if err != nil {
		return nil, err
	}
	key, err := tpm2.ImportEncapsulationKey(area)
	if err != nil {
		return nil, err
	}
	credential, secret, err := tpm2.CreateCredential(rand.Reader, key, request.Name, request.Secret)
	if err != nil {
		return nil, err
	}
	return &message{
		Credential:      tpm2.Marshal(tpm2.TPM2BIDObject{Buffer: credential}),
		EncryptedSecret: tpm2.Marshal(tpm2.TPM2BEncryptedSecret{Buffer: secret}),
	}, nil
}

func verifyQuote(request *message) (*message, error) {
	key, err := attest.ParseAKPublic(request.AttestationKey)
	if err != nil {
		return nil, err
	}
	var pcrs []attest.PCR
	for index, digest := range request.PCRs {
		pcrs = append(pcrs, attest.PCR{Index: index, Digest: digest, DigestAlg: crypto.SHA256})
	}
	quotes := []attest.Quote{{Quote: request.Quote, Signature: request.Signature}}
	return &message{}, key.VerifyAll(quotes, pcrs, request.Nonce)
}

func presentEvidence(request *message) (*message, error) {
	answer := &message{}
	return answer, withKeys(request, func(_ transport.TPM, endorsement, attestation *tpm2.CreatePrimaryResponse) error {
		answer.EndorsementKey = endorsement.OutPublic.Bytes()
		answer.AttestationKey = attestation.OutPublic.Bytes()
		return nil
	})
}

func answerChallenge(request *message) (*message, error) {
	answer := &message{PCRs: map[int][]byte{}}
	return answer, withKeys(request, func(tpm transport.TPM, endorsement, attestation *tpm2.CreatePrimaryResponse) error {
		credential, err := tpm2.Unmarshal[tpm2.TPM2BIDObject](request.Credential)
		if err != nil {
			return err
		}
		secret, err := tpm2.Unmarshal[tpm2.TPM2BEncryptedSecret](request.EncryptedSecret)
		if err != nil {
			return err
		}
		key := tpm2.AuthHandle{Handle: attestation.ObjectHandle, Name: attestation.Name, Auth: tpm2.PasswordAuth(nil)}
		activated, err := tpm2.ActivateCredential{
			ActivateHandle: key,
			KeyHandle: tpm2.AuthHandle{
				Handle: endorsement.ObjectHandle,
				Name:   endorsement.Name,
				Auth:   tpm2.Policy(tpm2.TPMAlgSHA256, 16, useEndorsement),
			},
			CredentialBlob: *credential,
			Secret:         *secret,
		}.Execute(tpm)
		if err != nil {
			return err
		}
		answer.Secret = activated.CertInfo.Buffer
		var pcrs []uint
		for index := range request.PCRs {
			pcrs = append(pcrs, uint(index))
		}
		selection := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{
			Hash:      tpm2.TPMAlgSHA256,
			PCRSelect: tpm2.PCClientCompatible.PCRs(pcrs...),
		}}}
		read, err := tpm2.PCRRead{PCRSelectionIn: selection}.Execute(tpm)
		if err != nil {
			return err
		}
		next := 0
		for index := range 24 {
			if _, isWanted := request.PCRs[index]; isWanted {
				answer.PCRs[index] = read.PCRValues.Digests[next].Buffer
				next++
			}
		}
		quoted, err := tpm2.Quote{
			SignHandle:     key,
			QualifyingData: tpm2.TPM2BData{Buffer: request.Nonce},
			InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
			PCRSelect:      selection,
		}.Execute(tpm)
		if err != nil {
			return err
		}
		answer.Quote = quoted.Quoted.Bytes()
		answer.Signature = tpm2.Marshal(quoted.Signature)
		return nil
	})
}

// withKeys loads the keys of the machine, which are the same each time.
func withKeys(request *message, use func(tpm transport.TPM, endorsement, attestation *tpm2.CreatePrimaryResponse) error) error {
	tpm, err := linuxudstpm.Open(request.Socket)
	if err != nil {
		return err
	}
	defer tpm.Close()
	template := tpm2.RSAEKTemplate
	if request.Algorithm == "ecc" {
		template = tpm2.ECCEKTemplate
	}
	endorsement, err := createPrimary(tpm, template)
	if err != nil {
		return err
	}
	defer tpm2.FlushContext{FlushHandle: endorsement.ObjectHandle}.Execute(tpm)
	attestation, err := createPrimary(tpm, attestationTemplate(request.Algorithm))
	if err != nil {
		return err
	}
	defer tpm2.FlushContext{FlushHandle: attestation.ObjectHandle}.Execute(tpm)
	return use(tpm, endorsement, attestation)
}

func createPrimary(tpm transport.TPM, template tpm2.TPMTPublic) (*tpm2.CreatePrimaryResponse, error) {
	return tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute(tpm)
}

func attestationTemplate(algorithm string) tpm2.TPMTPublic {
	template := tpm2.TPMTPublic{
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM:            true,
			FixedParent:         true,
			SensitiveDataOrigin: true,
			UserWithAuth:        true,
			Restricted:          true,
			SignEncrypt:         true,
		},
	}
	if algorithm == "ecc" {
		template.Type = tpm2.TPMAlgECC
		template.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			CurveID: tpm2.TPMECCNistP256,
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
		})
		return template
	}
	template.Type = tpm2.TPMAlgRSA
	template.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
		KeyBits: 2048,
		Scheme: tpm2.TPMTRSAScheme{
			Scheme:  tpm2.TPMAlgRSAPSS,
			Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSigSchemeRSAPSS{HashAlg: tpm2.TPMAlgSHA256}),
		},
	})
	return template
}

func useEndorsement(tpm transport.TPM, session tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
	_, err := tpm2.PolicySecret{
		AuthHandle:    tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth(nil)},
		PolicySession: session,
		NonceTPM:      nonce,
	}.Execute(tpm)
	return err
}
