//! What willow25 lacks.
