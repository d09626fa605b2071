// Verifies a token against a JWK Set with golang-jwt.
//
// Usage: verify TOKEN_FILE JWKS_FILE CLAIMS_FILE. It exits 0 when the signature and the times hold and the token has
// every claim of CLAIMS_FILE, else 1 with the reason.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

type jwk struct {
	Kty, Crv, Kid, X string
}

func main() {
	if err := verify(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "golang-jwt:", err)
		os.Exit(1)
	}
	fmt.Println("golang-jwt: verified")
}

func verify(tokenFile, jwksFile, claimsFile string) error {
	text, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	var set struct{ Keys []jwk }
	if err := readJSON(jwksFile, &set); err != nil {
		return err
	}
	var expected jwt.MapClaims
	if err := readJSON(claimsFile, &expected); err != nil {
		return err
	}
	key := func(token *jwt.Token) (any, error) { return find(set.Keys, token.Header["kid"]) }
	token, err := jwt.Parse(strings.TrimSpace(string(text)), key,
		jwt.WithValidMethods([]string{"EdDSA"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
	if err != nil {
		return err
	}
	actual := token.Claims.(jwt.MapClaims)
	for name, value := range expected {
		if found, ok := actual[name]; !ok || !reflect.DeepEqual(found, value) {
			return fmt.Errorf("claim %s is %v, expected %v", name, actual[name], value)
		}
	}
	return nil
}

func find(keys []jwk, kid any) (ed25519.PublicKey, error) {
	for _, key := range keys {
		if key.Kid != kid || key.Kty != "OKP" || key.Crv != "Ed25519" {
			continue
		}
		x, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil {
			return nil, err
		}
		if len(x) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("key %s has %d bytes", key.Kid, len(x))
		}
		return x, nil
	}
	return nil, fmt.Errorf("no key %v", kid)
}

func readJSON(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
