// Generated from the service's OpenAPI description by `make proto`. Do not edit.
export {};
