package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"github.com/kept-practice/kept/internal/policy"
)

// maxBody is the largest body an operation takes; exactly this many bytes pass.
const maxBody = 64 << 10

// takeBody reads, bounds and checks the body before huma sees it, and puts it back for huma to read.
func (s *Server) takeBody(op *huma.Operation) gin.HandlerFunc {
	return func(c *gin.Context) {
		body, err := s.readBody(c, op)
		if err != nil {
			refuse(c, err)
			return
		}
		requestOf(c.Request.Context()).body = body
		c.Request.Body = io.NopCloser(bytes.NewReader(body))
		c.Next()
	}
}

func (s *Server) readBody(c *gin.Context, op *huma.Operation) ([]byte, error) {
	if c.Request.ContentLength > maxBody {
		return nil, errTooLarge(c)
	}
	body, err := io.ReadAll(io.LimitReader(c.Request.Body, maxBody+1))
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		c.Header("Connection", "close")
		return nil, protocolError(http.StatusRequestTimeout, "body_too_slow", "The body was not complete in time.")
	case err != nil:
		c.Header("Connection", "close")
		return nil, policy.NewError(policy.Unreadable, "body_cut_off", "The body ended before it was complete.")
	case len(body) > maxBody:
		return nil, errTooLarge(c)
	}
	if c.Request.ContentLength != 0 {
		// The deadline was for the body; left standing it would cut the connection under a running handler.
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Time{})
	}
	switch {
	case op.RequestBody == nil && len(body) > 0:
		return nil, policy.NewError(policy.Unreadable, "body_not_allowed", "This operation takes no body.")
	case op.RequestBody == nil:
		return nil, nil
	case len(body) == 0 && op.RequestBody.Required:
		return nil, policy.NewError(policy.Unreadable, "empty_body", "Send a JSON object as the body.")
	case len(body) == 0:
		return nil, nil
	}
	if err := checkContentType(c.Request); err != nil {
		return nil, err
	}
	c.Request.Header.Set("Content-Type", "application/json") // as huma spells it
	if err := checkJSON(body); err != nil {
		return nil, err
	}
	return body, s.checkNulls(body, op)
}

func errTooLarge(c *gin.Context) error {
	c.Header("Connection", "close")
	return protocolError(http.StatusRequestEntityTooLarge, "body_too_large", "The body is larger than "+strconv.Itoa(maxBody>>10)+" KiB.")
}

// checkContentType wants JSON said once: application/json, and for a PATCH also application/merge-patch+json, which is the
// same here. A charset may be named if it is UTF-8.
func checkContentType(r *http.Request) error {
	given := r.Header.Values("Content-Type")
	if len(given) == 1 {
		kind, params, err := mime.ParseMediaType(given[0])
		charset, named := params["charset"]
		if named {
			delete(params, "charset")
		}
		isJSON := kind == "application/json" || (r.Method == http.MethodPatch && kind == "application/merge-patch+json")
		if err == nil && isJSON && len(params) == 0 && (!named || strings.EqualFold(charset, "utf-8")) {
			return nil
		}
	}
	return protocolError(http.StatusUnsupportedMediaType, "unsupported_media_type", "Send the body as Content-Type: application/json.")
}

// checkNulls refuses null where the schema does not name it; huma takes it for "not given".
func (s *Server) checkNulls(body []byte, op *huma.Operation) error {
	media := op.RequestBody.Content["application/json"]
	if media == nil || media.Schema == nil {
		return nil
	}
	var value any
	if err := unmarshalAny(body, &value); err != nil {
		return policy.NewError(policy.Unreadable, "malformed_json", "The body is not one JSON value.")
	}
	var fields []policy.FieldError
	s.findNulls(media.Schema, value, "", &fields)
	if len(fields) == 0 {
		return nil
	}
	return invalidFields(fields)
}

func (s *Server) findNulls(schema *huma.Schema, value any, pointer string, fields *[]policy.FieldError) {
	for schema.Ref != "" {
		schema = s.api.OpenAPI().Components.Schemas.SchemaFromRef(schema.Ref)
	}
	switch value := value.(type) {
	case nil:
		if schema.Type != "" && !schema.Nullable {
			*fields = append(*fields, policy.FieldError{Pointer: pointer, Code: "wrong_type", Detail: "null is not allowed here; leave the field out."})
		}
	case map[string]any:
		for name, inner := range value {
			if property := schema.Properties[name]; property != nil {
				s.findNulls(property, inner, pointer+"/"+name, fields)
			}
		}
	case []any:
		for i, inner := range value {
			if schema.Items != nil {
				s.findNulls(schema.Items, inner, pointer+"/"+strconv.Itoa(i), fields)
			}
		}
	}
}

func sortFields(fields []policy.FieldError) {
	slices.SortFunc(fields, func(a, b policy.FieldError) int {
		return strings.Compare(a.Pointer+" "+a.Code, b.Pointer+" "+b.Code)
	})
}
