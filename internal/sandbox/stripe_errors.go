package sandbox

import "net/http"

// errorBody is Stripe's error object. A declined payment keeps one as last_payment_error.
type errorBody struct {
	Type          string         `json:"type"`
	Code          string         `json:"code,omitempty"`
	DeclineCode   string         `json:"decline_code,omitempty"`
	Message       string         `json:"message"`
	Param         string         `json:"param,omitempty"`
	Charge        string         `json:"charge,omitempty"`
	PaymentIntent *paymentIntent `json:"payment_intent,omitempty"`
}

// stripeError is an error answer. Executed means the request passed validation and ran, so its answer is kept for its key.
type stripeError struct {
	status   int
	body     errorBody
	executed bool
}

func invalid(param, code, message string) *stripeError {
	return &stripeError{status: http.StatusBadRequest, body: errorBody{Type: "invalid_request_error", Param: param, Code: code, Message: message}}
}

func missing(what, id string) *stripeError {
	return &stripeError{status: http.StatusNotFound, body: errorBody{
		Type: "invalid_request_error", Code: "resource_missing", Param: "id", Message: "No such " + what + ": '" + id + "'",
	}}
}

// missingParam is an unknown object named in the body: 400 instead of 404.
func missingParam(param, what, id string) *stripeError {
	return invalid(param, "resource_missing", "No such "+what+": '"+id+"'")
}

func unexpectedState(code, message string) *stripeError { return invalid("", code, message) }

func apiFailure() *stripeError {
	return &stripeError{status: http.StatusInternalServerError, body: errorBody{
		Type: "api_error", Message: "An unknown error occurred (a fault of the sandbox).",
	}}
}

func declined(code string) *stripeError {
	body := errorBody{Type: "card_error", Code: code, Message: declineMessages[code]}
	switch code {
	case "expired_card", "incorrect_cvc", "processing_error":
	case codeAuthenticate:
		body.DeclineCode = code
	default:
		body.Code, body.DeclineCode = "card_declined", code
	}
	if body.Message == "" {
		body.Message = "Your card was declined."
	}
	return &stripeError{status: http.StatusPaymentRequired, body: body, executed: true}
}
