//! What the transport's errors mean: one [`Cause`] per way a connection can end.

use iroh::endpoint::{ConnectError, ConnectingError, ConnectionError, TransportErrorCode};
use osier_core::peers::{Cause, CloseCode};

/// The TLS alert of a handshake without a common ALPN.
const NO_APPLICATION_PROTOCOL: u8 = 120;

/// Why an established connection ended.
pub(super) fn of_connection(error: &ConnectionError) -> Cause {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let number = close.error_code.into_inner();
            CloseCode::from_number(number).map_or(Cause::ClosedUnknown(number), Cause::Closed)
        }
        ConnectionError::ConnectionClosed(close) => of_code(close.error_code),
        ConnectionError::TransportError(error) => of_code(error.code),
        ConnectionError::VersionMismatch => Cause::NoCommonVersion,
        ConnectionError::TimedOut | ConnectionError::Reset => Cause::Lost,
        ConnectionError::LocallyClosed => Cause::LocallyClosed,
        ConnectionError::CidsExhausted => Cause::Failed("connectionIdsExhausted"),
    }
}

fn of_code(code: TransportErrorCode) -> Cause {
    if code == TransportErrorCode::CONNECTION_REFUSED {
        Cause::RefusedBeforeHandshake
    } else if code == TransportErrorCode::crypto(NO_APPLICATION_PROTOCOL) {
        Cause::NoCommonVersion
    } else {
        Cause::Lost
    }
}

/// Why a dial did not lead to a connection.
pub(super) fn of_connect(error: &ConnectError) -> Cause {
    match error {
        ConnectError::Connect { .. } => Cause::Unreachable,
        ConnectError::Connecting { source, .. } => of_connecting(source),
        ConnectError::Connection { source, .. } => unreachable_if_lost(of_connection(source)),
        _ => Cause::Unreachable,
    }
}

/// Why a handshake did not lead to a connection.
pub(super) fn of_connecting(error: &ConnectingError) -> Cause {
    match error {
        ConnectingError::ConnectionError { source, .. } => unreachable_if_lost(of_connection(source)),
        ConnectingError::HandshakeFailure { .. } => Cause::Violation("handshake"),
        _ => Cause::Failed("handshake"),
    }
}

/// A connection that never was cannot be lost.
fn unreachable_if_lost(cause: Cause) -> Cause {
    if cause == Cause::Lost { Cause::Unreachable } else { cause }
}

#[cfg(test)]
mod tests {
    use iroh::endpoint::{ApplicationClose, VarInt};

    use super::*;

    fn closed(number: u32) -> Cause {
        of_connection(&ConnectionError::ApplicationClosed(ApplicationClose {
            error_code: VarInt::from_u32(number),
            reason: Vec::new().into(),
        }))
    }

    #[test]
    fn every_close_code_arrives_as_itself_and_others_as_unknown() {
        for code in CloseCode::ALL {
            assert_eq!(closed(code.number().into()), Cause::Closed(code));
        }
        assert_eq!(closed(10), Cause::ClosedUnknown(10));
    }

    #[test]
    fn transport_codes_tell_a_refusal_and_a_foreign_protocol_from_a_loss() {
        assert_eq!(of_code(TransportErrorCode::CONNECTION_REFUSED), Cause::RefusedBeforeHandshake);
        assert_eq!(of_code(TransportErrorCode::crypto(120)), Cause::NoCommonVersion);
        assert_eq!(of_code(TransportErrorCode::crypto(121)), Cause::Lost);
        assert_eq!(of_connection(&ConnectionError::TimedOut), Cause::Lost);
        assert_eq!(unreachable_if_lost(of_connection(&ConnectionError::TimedOut)), Cause::Unreachable);
        assert_eq!(of_connection(&ConnectionError::LocallyClosed), Cause::LocallyClosed);
        assert_eq!(of_connection(&ConnectionError::VersionMismatch), Cause::NoCommonVersion);
    }
}
