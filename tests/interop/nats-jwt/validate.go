// Validates what `microbus-deploy` made with the reference implementation of NATS JWTs.
//
// Usage: validate OPERATOR_JWT ACCOUNT_JWT CREDS... It exits 0 when every signature holds, each signer is one that may
// sign, and nothing is reported but what is listed below, else 1 with the reason.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

func main() {
	if err := validate(os.Args[1], os.Args[2], os.Args[3:]); err != nil {
		fmt.Fprintln(os.Stderr, "nats-io/jwt:", err)
		os.Exit(1)
	}
	fmt.Printf("nats-io/jwt: %d credentials validated\n", len(os.Args[3:]))
}

func validate(operatorFile, accountFile string, credentials []string) error {
	operatorJWT, err := os.ReadFile(operatorFile)
	if err != nil {
		return err
	}
	operator, err := jwt.DecodeOperatorClaims(strings.TrimSpace(string(operatorJWT)))
	if err != nil {
		return fmt.Errorf("%s: %w", operatorFile, err)
	}
	accountJWT, err := os.ReadFile(accountFile)
	if err != nil {
		return err
	}
	account, err := jwt.DecodeAccountClaims(strings.TrimSpace(string(accountJWT)))
	if err != nil {
		return fmt.Errorf("%s: %w", accountFile, err)
	}
	if !operator.DidSign(account) {
		return fmt.Errorf("%s: not signed by the operator", accountFile)
	}
	if err := unblemished(operatorFile, operator); err != nil {
		return err
	}
	if err := unblemished(accountFile, account); err != nil {
		return err
	}
	for _, file := range credentials {
		if err := validateUser(file, account); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func validateUser(file string, account *jwt.AccountClaims) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	token, err := jwt.ParseDecoratedJWT(content)
	if err != nil {
		return err
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil {
		return err
	}
	if !account.DidSign(user) {
		return fmt.Errorf("not signed by the account")
	}
	if user.BearerToken {
		return fmt.Errorf("a bearer of its JWT, without any proof of the seed")
	}
	if len(user.Pub.Allow) == 0 || len(user.Sub.Allow) == 0 {
		return fmt.Errorf("allowed everything")
	}
	key, err := jwt.ParseDecoratedUserNKey(content)
	if err != nil {
		return err
	}
	return matches(key, user, file)
}

func matches(key nkeys.KeyPair, user *jwt.UserClaims, file string) error {
	public, err := key.PublicKey()
	if err != nil {
		return err
	}
	if public != user.Subject {
		return fmt.Errorf("the seed is of %s, the JWT of %s", public, user.Subject)
	}
	return unblemished(file, user)
}

func unblemished(file string, claims jwt.Claims) error {
	results := jwt.CreateValidationResults()
	claims.Validate(results)
	for _, issue := range results.Issues {
		return fmt.Errorf("%s: %s", file, issue.Description)
	}
	return nil
}
